package iam

// CallShape is what is known of a Bedrock call besides its authorizations.
type CallShape struct {
	Region       string   // in which the call was made: the source Region
	Account      string   // of the caller
	Requested    string   // the modelId as the client gave it
	Profile      string   // id of the inference profile; "" for a bare model
	ProfileARN   string   // in the source Region
	Application  bool     // the profile is an application inference profile
	Model        string   // id of the foundation model, without a geography's prefix
	Destinations []string // Regions the profile may route to from Region; for a global profile only ""
}

// Call is a whole call: its authorizations in order, with the policies that
// bind the caller.
type Call struct {
	By       Caller
	Needs    []Authorization
	Global   Context
	Policies *Policies
	Model    *CallShape // nil if the call is none of Bedrock's
}

// Explanation says why a call was refused and what would allow it.
type Explanation struct {
	Call    Call
	Allowed bool
	Fixed   bool // the fix was evaluated: it allows the whole call
}

// Explain looks at a whole call.
func Explain(c Call) Explanation { return Explanation{Call: c} }

// Text is the explanation for a reader of lang: "ja", or English.
func (e Explanation) Text(lang string) string { return "" }
