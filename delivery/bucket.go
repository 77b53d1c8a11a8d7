package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tokaido/internal/durable"
)

// Bucket is a folder that files are delivered to. An object is a file; its
// metadata is in a file beside it whose name begins with a dot.
type Bucket struct{ dir string }

// ErrNoBucket and ErrNoKey say what is not there.
var (
	ErrNoBucket = errors.New("there is no such bucket")
	ErrNoKey    = errors.New("there is no such object")
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ValidBucket reports whether a name is one that a bucket may have.
func ValidBucket(name string) bool {
	return bucketName.MatchString(name) && !strings.Contains(name, "..")
}

// Bucket returns one of the folders that are delivered to.
func (s *Service) Bucket(name string) (*Bucket, error) {
	if !ValidBucket(name) {
		return nil, ErrNoBucket
	}
	dir := filepath.Join(s.cfg.Buckets, name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, ErrNoBucket
	}
	return &Bucket{dir}, nil
}

// Buckets are the names of the folders that are delivered to, in order, and when
// each was changed last.
func (s *Service) Buckets() (names []string, changed []time.Time, err error) {
	all, err := os.ReadDir(s.cfg.Buckets) // sorted
	if err != nil {
		return nil, nil, err
	}
	for _, d := range all {
		if !d.IsDir() || !ValidBucket(d.Name()) {
			continue
		}
		info, err := d.Info()
		if err != nil {
			return nil, nil, err
		}
		names, changed = append(names, d.Name()), append(changed, info.ModTime())
	}
	return names, changed, nil
}

// Region is the home Region of the first trail that delivers to a bucket.
func (s *Service) Region(bucket string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.sorted() {
		if t.Bucket == bucket {
			return t.HomeRegion
		}
	}
	return ""
}

// Object is one file of a bucket.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time
	Body     []byte            // of Get
	Metadata map[string]string // of Get and Stat
}

// Tag changes when the object does.
func (o *Object) Tag() string { return fmt.Sprintf("%x-%x", o.Modified.UnixNano(), o.Size) }

// maxObject is the most bytes of an object: what is delivered has far less.
const maxObject = 256 << 20

// validKey reports whether a key can name a file here, and no hidden one.
func validKey(key string) bool {
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || strings.ContainsAny(part, "\\\x00") {
			return false
		}
	}
	return true
}

func metadataOf(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".metadata")
}

// put writes an object, durably: its metadata first.
func (b *Bucket) put(key string, body []byte, metadata map[string]string) error {
	if !validKey(key) {
		return fmt.Errorf("an object cannot be called %q", key)
	}
	name := filepath.Join(b.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if metadata != nil {
		m, err := json.Marshal(metadata)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(metadataOf(name), m); err != nil {
			return err
		}
	}
	return durable.WriteFile(name, body)
}

// Stat tells of an object all but its content.
func (b *Bucket) Stat(key string) (*Object, error) { return b.open(key, nil) }

// Get reads an object.
func (b *Bucket) Get(key string) (*Object, error) {
	return b.open(key, func(root *os.Root, o *Object) (err error) {
		if o.Size > maxObject {
			return fmt.Errorf("%s has %d bytes, more than %d", key, o.Size, maxObject)
		}
		o.Body, err = root.ReadFile(filepath.FromSlash(key))
		o.Size = int64(len(o.Body))
		return err
	})
}

func (b *Bucket) open(key string, read func(*os.Root, *Object) error) (*Object, error) {
	if !validKey(key) {
		return nil, ErrNoKey
	}
	root, err := os.OpenRoot(b.dir) // nothing outside the folder, whatever links are in it
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := filepath.FromSlash(key)
	info, err := root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	o := &Object{Key: key, Size: info.Size(), Modified: info.ModTime()}
	if read != nil {
		if err := read(root, o); err != nil {
			return nil, err
		}
	}
	m, err := root.ReadFile(metadataOf(name))
	if err == nil {
		err = json.Unmarshal(m, &o.Metadata)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return o, err
}

// List returns up to n objects in the order of their keys: those that begin with
// prefix and come after marker. more says that there are others.
func (b *Bucket) List(prefix, marker string, n int) (all []Object, more bool, err error) {
	root := os.DirFS(b.dir)
	err = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." && !related(path+"/", prefix) {
				return fs.SkipDir
			}
			return nil
		}
		if d.Name()[0] == '.' || !strings.HasPrefix(path, prefix) || path <= marker {
			return nil
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		all = append(all, Object{Key: path, Size: info.Size(), Modified: info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	// A folder's files come before its neighbours' in a walk, and not in S3.
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	if len(all) > n {
		return all[:n], true, nil
	}
	return all, false, nil
}

// related reports whether a folder can hold keys with a prefix.
func related(folder, prefix string) bool {
	return strings.HasPrefix(folder, prefix) || strings.HasPrefix(prefix, folder)
}
