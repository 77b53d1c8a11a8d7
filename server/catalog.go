package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"tokaido/bedrock/catalog"
)

// catalogFile is what `tokaido catalog update` writes in the data directory if it
// is not told otherwise.
const catalogFile = "catalog.json"

// CatalogFile is where the observations of the catalog are kept.
func (c *Config) CatalogFile() string {
	if c.Bedrock.Catalog != "" {
		return c.Bedrock.Catalog
	}
	return filepath.Join(c.DataDir, catalogFile)
}

// Seen reads the observations of the catalog; nil if there are none.
func (c *Config) Seen() (*catalog.Seen, error) {
	name := c.CatalogFile()
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && c.Bedrock.Catalog == "" {
		return nil, nil
	}
	var s *catalog.Seen
	if err == nil {
		s, err = catalog.ParseSeen(b)
	}
	if err != nil {
		return nil, fmt.Errorf("bedrock.catalog: %s: %w", name, err)
	}
	return s, nil
}

// base is the catalog that came with the program, with what was seen since.
func (c *Config) base() (*catalog.Catalog, error) {
	s, err := c.Seen()
	if s == nil || err != nil {
		return catalog.Load(), err
	}
	out, _, err := catalog.Load().Observe(s)
	if err != nil {
		return nil, fmt.Errorf("bedrock.catalog: %s: %w", c.CatalogFile(), err)
	}
	return out, nil
}

// Catalog is the models, profiles and Regions that there are with those of the
// operator's own.
func (c *Config) Catalog() (*catalog.Catalog, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	return c.With(base)
}

// With is another catalog with the models and profiles of the operator's own.
func (c *Config) With(base *catalog.Catalog) (*catalog.Catalog, error) {
	return c.Bedrock.catalog(base)
}

// Bounds of what an operator adds.
const maxName = 128 // bytes

var modality = regexp.MustCompile(`^[A-Z][A-Z_]{0,31}$`)

func checkName(name string) error {
	if len(name) > maxName || strings.ContainsAny(name, "\n\r\t") {
		return fmt.Errorf("name: %.40q is longer than %d bytes, or more than a line", name, maxName)
	}
	return nil
}

// check says what is wrong with m by itself.
func (m *ModelConfig) check() error {
	if m.ID == "" {
		return errors.New("id: is missing")
	}
	if why := catalog.CheckModelID(m.ID); why != "" {
		return fmt.Errorf("id: %s", why)
	}
	for key, list := range map[string][]string{"input": m.Input, "output": m.Output} {
		for _, s := range list {
			if !modality.MatchString(s) {
				return fmt.Errorf("%s: %.40q is not a modality like TEXT, IMAGE or EMBEDDING", key, s)
			}
		}
	}
	if m.ContextWindow < 0 || m.MaxOutput < 0 {
		return fmt.Errorf("contextWindow: a number of tokens is negative: %d, %d", m.ContextWindow, m.MaxOutput)
	}
	return checkName(m.Name)
}

// check says what is wrong with p by itself.
func (p *ProfileConfig) check() error {
	if why := catalog.CheckProfileID(p.ID); why != "" {
		return fmt.Errorf("id: %s", why)
	}
	if strings.HasPrefix(p.ID, "global.") {
		// What begins so is authorized without a Region, which a boundary must not be.
		return fmt.Errorf("id: %q begins with global., which only AWS's own profiles do", p.ID)
	}
	return checkName(p.Name)
}
