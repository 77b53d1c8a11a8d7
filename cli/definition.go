package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tokaido/value"
)

// definition is a state machine's definition found in a file: the file itself,
// as JSON or YAML, or a state machine of a SAM or CloudFormation template.
type definition struct {
	file string
	name string // the resource's logical id in a template; "" if the file is the definition
	json []byte // what is given to asl
	root *yaml.Node
}

// substitution is ${Name} as SAM's DefinitionSubstitutions have it. What it
// stands for is not known here, so a resource gets an ARN of the right form.
var substitution = regexp.MustCompile(`\$\{[A-Za-z0-9_.:-]+\}`)

// A placeholder is what a whole ${…} stands for in a Resource.
const placeholder = "arn:aws:lambda:us-east-1:123456789012:function:substituted"

// readDefinitions finds the definitions in a file. JSON is read as it is, so
// that what asl says of its syntax is about this text.
func readDefinitions(file string, src []byte) ([]definition, error) {
	ext := strings.ToLower(filepath.Ext(file))
	root, yamlErr := parseYAML(src)
	if ext != ".yaml" && ext != ".yml" && ext != ".template" {
		if yamlErr == nil && isTemplate(root) {
			return fromTemplate(file, root)
		}
		return []definition{{file: file, json: src, root: root}}, nil
	}
	if yamlErr != nil {
		return nil, fmt.Errorf("%s: %w", file, yamlErr)
	}
	if isTemplate(root) {
		return fromTemplate(file, root)
	}
	d, err := fromNode(file, "", root)
	return []definition{d}, err
}

func parseYAML(src []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(src)).Decode(&doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("no document")
	}
	return doc.Content[0], nil
}

func isTemplate(root *yaml.Node) bool {
	return child(root, "Resources") != nil && child(root, "States") == nil
}

// fromTemplate finds the state machines of a template.
func fromTemplate(file string, root *yaml.Node) ([]definition, error) {
	var found []definition
	resources := child(root, "Resources")
	for i := 0; i+1 < len(resources.Content); i += 2 {
		name, res := resources.Content[i].Value, resources.Content[i+1]
		kind := child(res, "Type")
		if kind == nil || kind.Value != "AWS::Serverless::StateMachine" && kind.Value != "AWS::StepFunctions::StateMachine" {
			continue
		}
		props := child(res, "Properties")
		if props == nil {
			continue
		}
		if def := child(props, "Definition"); def != nil {
			d, err := fromNode(file, name, def)
			if err != nil {
				return nil, err
			}
			found = append(found, d)
			continue
		}
		if uri := child(props, "DefinitionUri"); uri != nil && uri.Kind == yaml.ScalarNode {
			at := filepath.Join(filepath.Dir(file), uri.Value)
			src, err := os.ReadFile(at)
			if err != nil {
				return nil, fmt.Errorf("%s: DefinitionUri of %s: %w", file, name, err)
			}
			inner, err := readDefinitions(at, src)
			if err != nil {
				return nil, err
			}
			for i := range inner {
				inner[i].json = []byte(substitute(string(inner[i].json)))
			}
			found = append(found, inner...)
			continue
		}
		if text := child(props, "DefinitionString"); text != nil && text.Kind == yaml.ScalarNode {
			d := definition{file: file, name: name, json: []byte(substitute(text.Value))}
			found = append(found, d)
			continue
		}
		return nil, fmt.Errorf("%s: %s has no Definition, DefinitionUri or DefinitionString that can be read (line %d)", file, name, res.Line)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: the template has no state machine", file)
	}
	return found, nil
}

// substitute puts a placeholder where a whole string is one substitution, and
// a word where it is a part of one.
func substitute(s string) string {
	s = regexp.MustCompile(`"`+substitution.String()+`"`).ReplaceAllString(s, `"`+placeholder+`"`)
	return substitution.ReplaceAllString(s, "substituted")
}

func fromNode(file, name string, n *yaml.Node) (definition, error) {
	v, err := nodeValue(n, 0)
	if err != nil {
		return definition{}, fmt.Errorf("%s: %w", file, err)
	}
	return definition{file: file, name: name, json: []byte(substitute(v.JSON())), root: n}, nil
}

// yamlDepth is how deep a YAML definition may nest, aliases followed.
const yamlDepth = 200

// nodeValue makes JSON's value of a YAML node, order kept. CloudFormation's
// functions (!Sub, !GetAtt, …) become a substitution: their value is not known.
func nodeValue(n *yaml.Node, depth int) (value.Value, error) {
	if depth > yamlDepth {
		return value.Value{}, fmt.Errorf("line %d: nested more than %d deep", n.Line, yamlDepth)
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return value.String("${" + strings.TrimPrefix(n.Tag, "!") + "}"), nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return nodeValue(n.Alias, depth+1)
	case yaml.MappingNode:
		var m []value.Member
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := nodeValue(n.Content[i+1], depth+1)
			if err != nil {
				return value.Value{}, err
			}
			m = append(m, value.Member{Key: n.Content[i].Value, Value: v})
		}
		return value.Object(m...), nil
	case yaml.SequenceNode:
		items := []value.Value{}
		for _, c := range n.Content {
			v, err := nodeValue(c, depth+1)
			if err != nil {
				return value.Value{}, err
			}
			items = append(items, v)
		}
		return value.Array(items...), nil
	}
	switch n.Tag {
	case "!!null":
		return value.Null(), nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return value.Value{}, fmt.Errorf("line %d: %w", n.Line, err)
		}
		return value.Bool(b), nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return value.ParseString(n.Value)
		}
		var f float64
		if err := n.Decode(&f); err != nil {
			return value.Value{}, fmt.Errorf("line %d: %w", n.Line, err)
		}
		return value.Float(f), nil
	}
	return value.String(n.Value), nil // !!str, !!timestamp, !!binary
}

// child returns the member of a mapping called key, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// line finds the line and column of a diagnostic's location, such as
// /States/A/Choices[0]/Next: those of the longest part of it that is there.
// 0, 0 if the file has no such lines.
func (d definition) line(location string) (line, column int) {
	n := d.root
	if n == nil {
		return 0, 0
	}
	line, column = n.Line, n.Column
	for part := range strings.SplitSeq(strings.TrimPrefix(location, "/"), "/") {
		name, index, _ := strings.Cut(part, "[")
		if name != "" {
			key, c := childKey(n, name)
			if c == nil {
				break
			}
			n, line, column = c, key.Line, key.Column
		}
		for index != "" {
			i, err := strconv.Atoi(strings.TrimSuffix(strings.SplitN(index, "]", 2)[0], "]"))
			if err != nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
				return line, column
			}
			n = n.Content[i]
			line, column = n.Line, n.Column
			_, index, _ = strings.Cut(index, "[")
		}
	}
	return line, column
}

func childKey(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}
