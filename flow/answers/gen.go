//go:build ignore

// Gen writes answers.zip from the service models of botocore: the folder data in
// its package, named by -in, else the one that python3 imports.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type shape struct {
	Type     string
	Required []string
	Members  members
	Member   *ref
	Value    *ref
	Enum     []string
	Min, Max *float64
	Document bool
}

type ref struct{ Shape string }

// members keeps the order of the document, in which they are checked.
type members []struct {
	name string
	ref
}

func (m *members) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return err
		}
		var r ref
		if err := d.Decode(&r); err != nil {
			return err
		}
		*m = append(*m, struct {
			name string
			ref
		}{k.(string), r})
	}
	return nil
}

type service struct {
	Metadata   struct{ ServiceID string }
	Operations map[string]struct{ Output *ref }
	Shapes     map[string]shape
}

// observed are bounds that AWS's TestState has otherwise: it refused a
// MemorySize of 10241 on 2025-12-03.
var observed = map[string]struct{ max float64 }{
	"lambda.MemorySize": {10240},
}

func main() {
	log.SetFlags(0)
	in := flag.String("in", "", "folder of the models")
	out := flag.String("out", "answers.zip", "file to write")
	flag.Parse()
	if *in == "" {
		b, err := exec.Command("python3", "-c", "import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), 'data'))").Output()
		if err != nil {
			log.Fatal("no botocore: ", err)
		}
		*in = strings.TrimSpace(string(b))
	}
	dirs, err := os.ReadDir(*in)
	if err != nil {
		log.Fatal(err)
	}
	files := map[string]string{}
	for _, d := range dirs {
		// The newest version of each.
		found, err := filepath.Glob(filepath.Join(*in, d.Name(), "*", "service-2.json*"))
		if err != nil {
			log.Fatal(err)
		}
		if len(found) == 0 {
			continue
		}
		slices.Sort(found)
		var s service
		load(found[len(found)-1], &s)
		k := key(s.Metadata.ServiceID)
		for name, sh := range s.Shapes {
			if o, ok := observed[k+"."+name]; ok {
				sh.Max = &o.max
				s.Shapes[name] = sh
			}
		}
		files[k] = write(&s)
	}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, n := range names {
		w, err := z.CreateHeader(&zip.FileHeader{Name: n, Method: zip.Deflate, Modified: time.Time{}})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := io.WriteString(w, files[n]); err != nil {
			log.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, buf.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	log.Printf("%d services, %d bytes", len(names), buf.Len())
}

func load(name string, to any) {
	f, err := os.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			log.Fatal(err)
		}
	}
	if err := json.NewDecoder(r).Decode(to); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
}

// key is a service id in small letters and digits.
func key(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, id)
}

type writer struct {
	s     *service
	refs  map[string]string
	lines []string
	same  map[string]string // of shapes without parts: the line, and its number
}

func write(s *service) string {
	w := &writer{s: s, refs: map[string]string{}, same: map[string]string{}}
	names := make([]string, 0, len(s.Operations))
	for n := range s.Operations {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, n := range names {
		if o := s.Operations[n].Output; o != nil {
			names[i] = n + "=" + w.shape(o.Shape)
		}
	}
	return strings.Join(names, "\t") + "\n" + strings.Join(w.lines, "\n")
}

func (w *writer) shape(name string) string {
	if r, ok := w.refs[name]; ok {
		return r
	}
	s := w.s.Shapes[name]
	simple := func(r string) string {
		w.refs[name] = r
		return r
	}
	part := func(line func() string) string {
		n := len(w.lines)
		r := strconv.Itoa(n)
		w.refs[name] = r
		w.lines = append(w.lines, "")
		w.lines[n] = line()
		return r
	}
	leaf := func(line string) string {
		if r, ok := w.same[line]; ok {
			return simple(r)
		}
		w.same[line] = part(func() string { return line })
		return w.same[line]
	}
	switch s.Type {
	case "structure":
		if s.Document || len(s.Members) == 0 {
			return simple("a")
		}
		return part(func() string {
			line := "{"
			for _, m := range s.Members {
				line += "\t" + m.name
				if slices.Contains(s.Required, m.name) {
					line += "!"
				}
				if r := w.shape(m.Shape); r != "s" {
					line += "=" + r
				}
			}
			return line
		})
	case "list":
		return part(func() string { return "[" + w.shape(s.Member.Shape) + bounds(&s) })
	case "map":
		return part(func() string { return "<" + w.shape(s.Value.Shape) + bounds(&s) })
	case "boolean":
		return simple("b")
	case "integer", "long", "short", "float", "double", "bigInteger", "bigDecimal":
		if b := bounds(&s); b != "" {
			return leaf("#" + b)
		}
		return simple("n")
	case "timestamp":
		return simple("s")
	case "string", "blob", "character":
		if s.Enum != nil {
			return leaf("=\t" + strings.Join(s.Enum, "\t"))
		}
		if s.Min != nil && *s.Min == 0 {
			s.Min = nil
		}
		if b := bounds(&s); b != "" {
			return leaf("\"" + b)
		}
		return simple("s")
	}
	log.Fatalf("shape %s of type %q", name, s.Type)
	return ""
}

func bounds(s *shape) string {
	if s.Min == nil && s.Max == nil {
		return ""
	}
	text := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'f', -1, 64)
	}
	return "\t" + text(s.Min) + ":" + text(s.Max)
}
