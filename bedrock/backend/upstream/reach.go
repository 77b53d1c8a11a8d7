package upstream

import (
	"context"
	"errors"
	"net/http"
)

// Reach asks whether somebody is there, with a GET that has no body, and returns
// the document if it is given one. Its error says that nobody answers, or one who
// cannot work: a status of 500 or above. Any other refusal is somebody's.
func (c *Client) Reach(ctx context.Context, path string) ([]byte, error) {
	doc, _, err := c.Whole(ctx, Request{Method: http.MethodGet, Path: path})
	if r, ok := errors.AsType[*Refusal](err); ok && (r.Status < http.StatusInternalServerError || r.Status == http.StatusNotImplemented) {
		return nil, nil
	}
	return doc, err
}

// Path is what stands in the URL after the host.
func (c *Client) Path() string { return c.base.Path }

// At is the same server, by the same connections, at another path of its URL.
func (c *Client) At(path string) *Client {
	other, base := *c, *c.base
	base.Path, base.RawPath = path, ""
	other.base = &base
	return &other
}
