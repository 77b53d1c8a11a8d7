package awsapi

import (
	"context"
	"net"
	"net/http"
	"strings"

	"tokaido/fault"
	"tokaido/principal"
)

// apiKey is the API key that a request of Bedrock's comes with, if it does.
func (c *call) apiKey() (token string, ok bool) {
	if c.op.Service != "bedrock" {
		return "", false
	}
	authorization := c.r.Header.Get("Authorization")
	if scheme, token, _ := strings.Cut(authorization, " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	if c.op.KeyHeader != "" && authorization == "" {
		if token := c.r.Header.Get(c.op.KeyHeader); token != "" {
			return token, true
		}
	}
	return "", false
}

func (c *call) bearer(ctx context.Context, token string) (principal.Bearer, error) {
	if dir, ok := c.s.cfg.Directory.(bearer); ok {
		return dir.Bearer(ctx, token, c.now)
	}
	return principal.Bearer{}, &fault.Error{
		Kind: fault.Client, Code: "AccessDeniedException", Status: http.StatusForbidden, Auth: true,
		Message: "Authentication failed: this server takes no API keys; sign the request with an access key.",
	}
}

// hostRegion is the Region that the host names as AWS's endpoints of Bedrock do;
// "" if it names none that there is.
func (c *call) hostRegion() string {
	host, _, err := net.SplitHostPort(c.r.Host)
	if err != nil {
		host = c.r.Host
	}
	service, rest, _ := strings.Cut(host, ".")
	region, _, _ := strings.Cut(rest, ".")
	if service != "bedrock" && service != "bedrock-runtime" || region == "" || c.s.cfg.ValidRegion == nil || !c.s.cfg.ValidRegion(region) {
		return ""
	}
	return region
}
