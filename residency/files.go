package residency

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tokaido/value"
)

// MaxFile is the most bytes of one file of events, uncompressed.
const MaxFile = 1 << 30

// Events yields CloudTrail's events from files: log files as CloudTrail delivers
// them ({"Records":[…]}), answers of `aws cloudtrail lookup-events`
// ({"Events":[…]}), lists of events, and events one on each line; all of them
// compressed or not. Of a folder it takes every .json, .jsonl and .json.gz in it
// but digest files, in the order of their names.
func Events(ctx context.Context, paths []string, progress func(done, total int64)) iter.Seq2[value.Value, error] {
	return func(yield func(value.Value, error) bool) {
		names, total, err := list(paths)
		if err != nil {
			yield(value.Value{}, err)
			return
		}
		var done int64
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield(value.Value{}, context.Cause(ctx))
				return
			}
			n, more, err := file(name, yield)
			if err != nil {
				yield(value.Value{}, fmt.Errorf("%s: %w", name, err))
				return
			}
			if !more {
				return
			}
			if done += n; progress != nil {
				progress(done, total)
			}
		}
	}
}

func list(paths []string) (names []string, total int64, err error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, 0, err
		}
		if !info.IsDir() {
			names, total = append(names, p), total+info.Size()
			continue
		}
		found := 0
		err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if d.Name() == "CloudTrail-Digest" || d.Name() == "CloudTrail-Insight" {
					return fs.SkipDir
				}
				return nil
			}
			if n := d.Name(); n[0] == '.' || !strings.HasSuffix(n, ".json") && !strings.HasSuffix(n, ".json.gz") && !strings.HasSuffix(n, ".jsonl") {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			names, total = append(names, name), total+info.Size()
			found++
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		if found == 0 {
			return nil, 0, fmt.Errorf("%s has no .json, .jsonl or .json.gz file", p)
		}
	}
	return names, total, nil
}

var errTooLarge = fmt.Errorf("it has more than %d bytes", MaxFile)

func file(name string, yield func(value.Value, error) bool) (size int64, more bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	b, err := inflate(f)
	if err != nil {
		return 0, false, err
	}
	more, err = parse(b, yield)
	return info.Size(), more, err
}

func inflate(r io.Reader) ([]byte, error) {
	b, err := readAll(r)
	if err != nil || len(b) < 2 || b[0] != 0x1f || b[1] != 0x8b {
		return b, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return readAll(z)
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if len(b) > MaxFile {
		return nil, errTooLarge
	}
	return b, err
}

// parse yields the events in one file.
func parse(b []byte, yield func(value.Value, error) bool) (more bool, err error) {
	v, err := value.Parse(b)
	if err != nil {
		return lines(b, err, yield)
	}
	list := v
	switch {
	case v.IsArray():
	case v.Has("Records"):
		list = v.Get("Records")
	case v.Has("Events"):
		list = v.Get("Events")
	case v.Has("eventSource") || v.Has("CloudTrailEvent"):
		list = value.Array(v)
	default:
		return false, errors.New("neither a log file of CloudTrail nor an answer of lookup-events")
	}
	if !list.IsArray() {
		return false, errors.New("its events are not a list")
	}
	for i, e := range list.Items() {
		if e, err = event(e); err != nil {
			return false, fmt.Errorf("event %d: %w", i, err)
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// lines reads events one on each line; whole is what kept it from being read whole.
func lines(b []byte, whole error, yield func(value.Value, error) bool) (more bool, err error) {
	n := 0
	for line := range bytes.Lines(b) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		v, err := value.Parse(slices.Clone(line))
		if err != nil {
			if n == 1 {
				return false, whole
			}
			return false, fmt.Errorf("line %d: %w", n, err)
		}
		if v, err = event(v); err != nil {
			return false, fmt.Errorf("line %d: %w", n, err)
		}
		if !yield(v, nil) {
			return false, nil
		}
	}
	return true, nil
}

// event takes an event out of what lookup-events wraps it in.
func event(v value.Value) (value.Value, error) {
	if s := v.Get("CloudTrailEvent"); s.IsString() {
		return value.ParseString(s.Str())
	}
	if !v.IsObject() {
		return v, fmt.Errorf("it is a %v, not an object", v.Kind())
	}
	return v, nil
}
