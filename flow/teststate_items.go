package flow

import (
	"fmt"
	"strconv"
	"strings"

	"tokaido/value"
)

// maxTestItems bounds what a test's ItemReader data may come to: its text has at
// most 256 KiB, so this is generous.
const maxTestItems = 1 << 18

// readItems reads what an ItemReader would have read: the items of a Map. The
// text is that of the source. What is not a text, or names further sources,
// cannot be given so and is refused.
func readItems(resource string, config value.Value, text string) (value.Value, error) {
	bad := func(format string, args ...any) (value.Value, error) {
		return value.Value{}, invalid("Invalid MapItemReaderData: %s", fmt.Sprintf(format, args...))
	}
	for _, name := range []string{"ManifestType", "Transformation"} {
		if v := config.Get(name).Str(); v != "" && v != "NONE" {
			return bad("it cannot be given for an ItemReader whose %s is '%s'", name, v)
		}
	}
	kind := config.Get("InputType").Str()
	if kind == "" && strings.HasSuffix(resource, ":s3:listObjectsV2") {
		v, err := value.ParseString(text)
		if v.Has("Contents") {
			v = v.Get("Contents")
		}
		if err != nil || !v.IsArray() {
			return bad("it must be a JSON array of objects")
		}
		return v, nil
	}
	switch kind {
	case "JSON":
		v, err := value.ParseString(text)
		if err != nil {
			return bad("it is not valid JSON: %v", err)
		}
		if p := config.Get("ItemsPointer"); p.IsString() {
			if v = point(v, p.Str()); v.IsUndefined() {
				return bad("there is nothing at '%s'", p.Str())
			}
		}
		return v, nil
	case "JSONL":
		items := []value.Value{}
		n := 0
		for line := range strings.Lines(text) {
			n++
			if strings.TrimSpace(line) == "" {
				continue
			}
			v, err := value.ParseString(line)
			if err != nil {
				return bad("line %d is not valid JSON: %v", n, err)
			}
			items = append(items, v)
		}
		return value.Array(items...), nil
	case "CSV":
		return csvItems(config, text)
	}
	return bad("it cannot be given for an ItemReader whose InputType is '%s'", kind)
}

// point follows a JSON Pointer (RFC 6901).
func point(v value.Value, pointer string) value.Value {
	if pointer == "" {
		return v
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for name := range strings.SplitSeq(pointer[1:], "/") {
		switch name = unescape.Replace(name); {
		case v.IsObject():
			v = v.Get(name)
		case v.IsArray():
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= v.Len() || strconv.Itoa(i) != name {
				return value.Value{}
			}
			v = v.At(i)
		default:
			return value.Value{}
		}
	}
	return v
}

var delimiters = map[string]byte{"": ',', "COMMA": ',', "PIPE": '|', "SEMICOLON": ';', "SPACE": ' ', "TAB": '\t'}

// csvItems are the rows of a CSV text as objects of texts. What a short row does
// not have is "", what a long one has too much is dropped.
func csvItems(config value.Value, text string) (value.Value, error) {
	rows := splitCSV(text, delimiters[config.Get("CSVDelimiter").Str()])
	var headers []string
	if config.Get("CSVHeaderLocation").Str() == "GIVEN" {
		for _, h := range config.Get("CSVHeaders").Items() {
			headers = append(headers, h.Str())
		}
	} else if len(rows) > 0 {
		headers, rows = rows[0], rows[1:]
	}
	seen := map[string]bool{}
	for _, h := range headers {
		if seen[h] {
			return value.Value{}, invalid("Invalid MapItemReaderData: CSV headers cannot contain duplicates.")
		}
		seen[h] = true
	}
	if len(rows)*len(headers) > maxTestItems {
		return value.Value{}, invalid("Invalid MapItemReaderData: more than %d cells", maxTestItems)
	}
	items := make([]value.Value, len(rows))
	for i, row := range rows {
		m := make([]value.Member, len(headers))
		for j, h := range headers {
			cell := ""
			if j < len(row) {
				cell = row[j]
			}
			m[j] = value.Member{Key: h, Value: value.String(cell)}
		}
		items[i] = value.Object(m...)
	}
	return value.Array(items...), nil
}

// splitCSV takes a CSV text apart as Step Functions does: quotes hold delimiters
// and line breaks, two of them are one, and a backslash escapes quotes,
// delimiters and itself; before anything else it is dropped. Empty lines are no
// rows.
func splitCSV(text string, delimiter byte) (rows [][]string) {
	var row []string
	var cell []byte
	quoted, some := false, false
	endCell := func() {
		row, cell = append(row, string(cell)), nil
	}
	endRow := func() {
		if some {
			endCell()
			rows = append(rows, row)
		}
		row, cell, some = nil, nil, false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case c == '\\':
			if some = true; next == '\\' || next == '"' || next == delimiter {
				cell = append(cell, next)
				i++
			}
		case c == '"' && quoted && next == '"':
			cell = append(cell, '"')
			i++
		case c == '"':
			quoted, some = !quoted, true
		case quoted:
			cell = append(cell, c)
		case c == delimiter:
			some = true
			endCell()
		case c == '\n' || c == '\r' && next == '\n':
			if c == '\r' {
				i++
			}
			endRow()
		default:
			some = true
			cell = append(cell, c)
		}
	}
	endRow()
	return rows
}
