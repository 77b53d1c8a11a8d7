package asl

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokaido/value"
)

// processor compiles ItemProcessor, or Iterator as it was called.
func (c *compiler) processor(st *State, name string, v value.Value, at string) {
	if !c.isObject(v, at) {
		return
	}
	m := st.Map
	c.required(v, at, "States", "StartAt")
	c.only(v, at, "StartAt", "States", "Comment", "ProcessorConfig")
	if cfg := v.Get("ProcessorConfig"); !cfg.IsUndefined() && c.isObject(cfg, at+"/ProcessorConfig") {
		at := at + "/ProcessorConfig"
		mode, typ := cfg.Get("Mode"), cfg.Get("ExecutionType")
		c.only(cfg, at, "Mode", "ExecutionType")
		if !mode.IsUndefined() && c.oneOf(mode, at+"/Mode", "INLINE", "DISTRIBUTED") {
			m.Distributed = mode.Str() == "DISTRIBUTED"
		}
		if m.Distributed && c.express {
			c.schema(at+"/Mode", "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines")
		}
		switch {
		case m.Distributed && typ.IsUndefined():
			c.schema(at, "These fields are required: [ExecutionType]")
		case m.Distributed:
			m.Express = c.oneOf(typ, at+"/ExecutionType", "STANDARD", "EXPRESS") && typ.Str() == "EXPRESS"
		case !typ.IsUndefined():
			c.unsupported(at, "ExecutionType")
		}
	}
	outer := c.vars.inside(st.Name)
	if m.Distributed { // its iterations are executions of their own: they see nothing of this one
		outer = nil
	}
	express := c.express
	c.express = express || m.Express
	m.Processor = c.machine(v, at, outer)
	c.express = express
}

// label compiles Label.
func (c *compiler) label(st *State, v value.Value, at string) {
	if !c.isString(v, at) {
		return
	}
	s := v.Str()
	switch {
	case s == "":
		c.report(Error, "INVALID_LABEL_NAME", at, "Invalid Label name: Label must not be empty")
	case utf8.RuneCountInString(s) > MaxLabel:
		c.report(Error, "INVALID_LABEL_NAME", at, "Invalid Label name: Label exceeds the %d-character limit allowed by the service", MaxLabel)
	case strings.ContainsFunc(s, notInNames):
		c.report(Error, "INVALID_LABEL_NAME", at, "Invalid Label name: '%s'", s)
	case c.labels[s]:
		c.report(Error, "DUPLICATE_LABEL_NAME", at, "Duplicate Label name: %s", s)
	}
	c.labels[s] = true
	st.Map.Label = s
}

// notInNames reports whether names of AWS's resources may not have r.
func notInNames(r rune) bool {
	return r <= 0x20 || r >= 0x7F && r <= 0x9F || strings.ContainsRune("?*<>{}[]\"#%\\^|~`$&,;:/", r) ||
		r == 0xFFFE || r == 0xFFFF || r == utf8.RuneError || r == 0x10FFFF || r == 0xA0
}

// arguments compiles Parameters or Arguments of a reader or a writer.
func (c *compiler) arguments(p *frame, o value.Value) *Field {
	if p.lang == JSONata {
		if v := o.Get("Arguments"); !v.IsUndefined() {
			return c.any(p, "Arguments", v, available{})
		}
		return nil
	}
	v := o.Get("Parameters")
	if v.IsUndefined() || !c.isObject(v, p.at+"/Parameters") {
		return nil
	}
	return c.template(p, "Parameters", v)
}

// foreignArguments reports the name that arguments have in the other language.
func (c *compiler) foreignArguments(p *frame, o value.Value) {
	other := "Arguments"
	if p.lang == JSONata {
		other = "Parameters"
	}
	if o.Has(other) {
		c.foreign(p.at, other, p.lang)
	}
}

// stateResource checks Resource of a reader or a writer and returns the call: "getObject".
func (c *compiler) stateResource(v value.Value, at string, calls ...string) string {
	if !c.isString(v, at) {
		return ""
	}
	for _, call := range calls {
		if p, ok := strings.CutPrefix(v.Str(), "arn:"); ok && strings.HasSuffix(p, ":states:::s3:"+call) && strings.Count(p, ":") == 5 {
			return call
		}
	}
	examples := make([]string, len(calls))
	for i, call := range calls {
		examples[i] = "arn:<partition>:states:::s3:" + call
	}
	c.schema(at, "The field 'Resource' does not match any of the allowed values. Examples: [%s]", strings.Join(examples, ", "))
	return ""
}

var inputTypes = []string{"MANIFEST", "JSON", "CSV", "JSONL", "PARQUET"}

// reader compiles ItemReader.
func (c *compiler) reader(p *frame, o value.Value) *Reader {
	if !c.isObject(o, p.at) || !c.required(o, p.at, "Resource") {
		return nil
	}
	c.only(o, p.at, "Resource", "Parameters", "Arguments", "ReaderConfig")
	c.foreignArguments(p, o)
	r := &Reader{Resource: o.Get("Resource").Str()}
	call := c.stateResource(o.Get("Resource"), p.at+"/Resource", "getObject", "listObjectsV2")
	r.Arguments = c.arguments(p, o)
	r.Config = o.Get("ReaderConfig")
	if r.Config.IsUndefined() {
		if call == "getObject" {
			c.schema(p.at, "These fields are required: [ReaderConfig]")
		}
		return r
	}
	cfg := p.part("ReaderConfig")
	if !c.isObject(r.Config, cfg.at) {
		return r
	}
	input := r.Config.Get("InputType")
	flatten := r.Config.Get("Transformation").Str() == "LOAD_AND_FLATTEN"
	inventory := r.Config.Get("ManifestType").Str() == "S3_INVENTORY"
	if input.IsUndefined() && !inventory && (call == "getObject" || flatten) {
		c.schema(cfg.at, "These fields are required: [InputType]")
	}
	tabular := input.Str() == "CSV" || input.Str() == "MANIFEST"
	header := r.Config.Get("CSVHeaderLocation")
	if input.Str() == "CSV" && header.IsUndefined() && !r.Config.Has("ManifestType") {
		c.schema(cfg.at, "The field 'CSVHeaderLocation' is required")
	}
	if header.Str() == "GIVEN" {
		c.required(r.Config, cfg.at, "CSVHeaders")
	}
	c.atMostOne(r.Config, cfg.at, "MaxItems", "MaxItemsPath")
	for name, v := range r.Config.Members() {
		at := cfg.at + "/" + name
		switch name {
		case "InputType":
			if !v.IsString() || !slices.Contains(inputTypes, v.Str()) {
				c.schema(at, "The field 'InputType' should have one of these values: [%s]", strings.Join(inputTypes, ", "))
			}
		case "Transformation":
			if c.oneOf(v, at, "NONE", "LOAD_AND_FLATTEN") && flatten && call == "getObject" {
				c.unsupported(cfg.at, name)
			}
		case "ManifestType":
			c.oneOf(v, at, "ATHENA_DATA", "S3_INVENTORY")
		case "CSVHeaderLocation":
			if !tabular {
				c.unsupported(cfg.at, name)
			} else {
				c.oneOf(v, at, "FIRST_ROW", "GIVEN")
			}
		case "CSVDelimiter":
			if !tabular {
				c.unsupported(cfg.at, name)
			} else {
				c.oneOf(v, at, "COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB")
			}
		case "CSVHeaders":
			if !tabular {
				c.unsupported(cfg.at, name)
			} else if c.isFilled(v, at) {
				seen := map[string]bool{}
				for i, h := range v.Items() {
					if c.isString(h, at+"["+strconv.Itoa(i)+"]") && seen[h.Str()] {
						c.schema(at, "CSV headers cannot contain duplicates.")
					}
					seen[h.Str()] = true
				}
			}
		case "ItemsPointer":
			switch {
			case input.Str() != "JSON":
				c.unsupported(cfg.at, name)
			case !c.isString(v, at):
			case v.Str() != "" && v.Str()[0] != '/' || utf8.RuneCountInString(v.Str()) >= MaxItemsPointer:
				c.schema(at, "Value must be a valid JSON Pointer of less than %d characters", MaxItemsPointer)
			}
		case "MaxItems": // AWS takes more than MaxItems, and reads no more than that
			r.MaxItems = c.number(cfg, name, v, 0, noLimit, false)
		case "MaxItemsPath":
			if p.lang == JSONata {
				c.foreign(cfg.at, name, p.lang)
			} else {
				r.MaxItems = c.numberPath(cfg, name, v, 0, noLimit)
			}
		default:
			c.unsupported(cfg.at, name)
		}
	}
	return r
}

// batcher compiles ItemBatcher.
func (c *compiler) batcher(p *frame, o value.Value) *Batcher {
	if !c.isObject(o, p.at) {
		return nil
	}
	b := &Batcher{}
	c.atMostOne(o, p.at, "MaxItemsPerBatch", "MaxItemsPerBatchPath")
	c.atMostOne(o, p.at, "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath")
	for name, v := range o.Members() {
		switch {
		case strings.HasSuffix(name, "Path") && p.lang == JSONata && (name == "MaxItemsPerBatchPath" || name == "MaxInputBytesPerBatchPath"):
			c.foreign(p.at, name, p.lang)
		case name == "MaxItemsPerBatch":
			b.MaxItems = c.number(p, name, v, 1, noLimit, false)
		case name == "MaxItemsPerBatchPath":
			b.MaxItems = c.numberPath(p, name, v, 1, noLimit)
		case name == "MaxInputBytesPerBatch":
			b.MaxBytes = c.number(p, name, v, 1, MaxBatchBytes, false)
		case name == "MaxInputBytesPerBatchPath":
			b.MaxBytes = c.numberPath(p, name, v, 1, MaxBatchBytes)
		case name == "BatchInput":
			b.Input = c.templateOrQueries(p, name, v)
		default:
			c.unsupported(p.at, name)
		}
	}
	return b
}

// writer compiles ResultWriter.
func (c *compiler) writer(p *frame, o value.Value) *Writer {
	if !c.isObject(o, p.at) {
		return nil
	}
	c.only(o, p.at, "Resource", "Parameters", "Arguments", "WriterConfig")
	c.foreignArguments(p, o)
	w := &Writer{Config: o.Get("WriterConfig")}
	args := "Parameters"
	if p.lang == JSONata {
		args = "Arguments"
	}
	resource := o.Get("Resource")
	switch {
	case !resource.IsUndefined():
		c.required(o, p.at, args)
		w.Resource = resource.Str()
		c.stateResource(resource, p.at+"/Resource", "putObject")
	case o.Has(args):
		c.required(o, p.at, "Resource")
	case w.Config.IsUndefined():
		c.schema(p.at, "These fields are required: [Resource, %s]", args)
	}
	w.Arguments = c.arguments(p, o)
	if at := p.at + "/WriterConfig"; !w.Config.IsUndefined() && c.isObject(w.Config, at) {
		c.required(w.Config, at, "Transformation", "OutputType")
		for name, v := range w.Config.Members() {
			switch name {
			case "Transformation":
				c.oneOf(v, at+"/"+name, "NONE", "COMPACT", "FLATTEN")
			case "OutputType":
				c.oneOf(v, at+"/"+name, "JSON", "JSONL")
			default:
				c.unsupported(at, name)
			}
		}
	}
	return w
}
