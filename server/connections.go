package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tokaido/connector"
	"tokaido/value"
)

// ConnectionConfig is a connection of HTTP Tasks: credentials, and what they are
// for. A Task names it by an ARN as EventBridge gives them,
// arn:aws:events:REGION:ACCOUNT:connection/NAME/ID, of which NAME counts.
type ConnectionConfig struct {
	// Endpoints are where Tasks with this connection may go: these URLs and what is
	// below them. https, or http where it is written so.
	Endpoints []string `yaml:"endpoints"`

	Auth          string            `yaml:"auth"`                    // basic, apiKey or oauth
	Username      string            `yaml:"username,omitempty"`      // basic
	Header        string            `yaml:"header,omitempty"`        // apiKey: that the key goes into
	TokenEndpoint string            `yaml:"tokenEndpoint,omitempty"` // oauth: with the client's credentials
	ClientID      string            `yaml:"clientId,omitempty"`      // oauth
	Token         map[string]string `yaml:"token,omitempty"`         // oauth: of the request for a token, as scope

	// The password, the key or the client's secret is never in the file itself: it is
	// read from a variable or another file.
	SecretEnv  string `yaml:"secretEnv,omitempty"`
	SecretFile string `yaml:"secretFile,omitempty"`

	// What is added to each request; it counts more than what the Task says.
	Headers map[string]string `yaml:"headers,omitempty"`
	Query   map[string]string `yaml:"query,omitempty"`
	Body    map[string]string `yaml:"body,omitempty"`
}

// Bounds of connections.
const (
	maxConnections = 1000
	maxConnection  = 64 // characters of a name
)

// checkConnections says what is wrong with connections.
func (c *Config) checkConnections(bad func(string, ...any)) {
	if n := len(c.Connections); n > maxConnections {
		bad("connections: %d are more than %d", n, maxConnections)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Connections)) {
		k := c.Connections[name]
		at := "connections." + name + "."
		if len(name) > maxConnection || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || name == "" {
			bad("connections: the name %q does not fit into an ARN", name)
		}
		if len(k.Endpoints) == 0 {
			bad("%sendpoints: there are none, so that no Task could use it", at)
		}
		for _, e := range k.Endpoints {
			if u, err := connector.Endpoint(e); err != nil {
				bad("%sendpoints: %q: %v", at, e, err)
			} else if u.RawQuery != "" {
				bad("%sendpoints: %q has a query", at, e)
			}
		}
		needs := map[string][]string{"basic": {"username"}, "apiKey": {"header"}, "oauth": {"tokenEndpoint", "clientId"}}[k.Auth]
		if needs == nil {
			bad("%sauth: %q is none of basic, apiKey and oauth", at, k.Auth)
			continue
		}
		for _, f := range []struct {
			name string
			set  bool
		}{{"username", k.Username != ""}, {"header", k.Header != ""}, {"tokenEndpoint", k.TokenEndpoint != ""}, {"clientId", k.ClientID != ""}, {"token", len(k.Token) > 0}} {
			switch need := slices.Contains(needs, f.name); {
			case need && !f.set:
				bad("%s%s: %s needs it", at, f.name, k.Auth)
			case !need && f.set && !(f.name == "token" && k.Auth == "oauth"):
				bad("%s%s: %s does not know it", at, f.name, k.Auth)
			}
		}
		if (k.SecretEnv == "") == (k.SecretFile == "") {
			bad("%ssecretEnv: one of it and secretFile is needed", at)
		}
		if k.TokenEndpoint != "" {
			if _, err := connector.Endpoint(k.TokenEndpoint); err != nil {
				bad("%stokenEndpoint: %q: %v", at, k.TokenEndpoint, err)
			}
		}
		if k.Header != "" && !connector.HeaderName(k.Header) {
			bad("%sheader: %q cannot be a header's name", at, k.Header)
		}
		for _, h := range slices.Sorted(maps.Keys(k.Headers)) {
			if !connector.HeaderName(h) || strings.ContainsAny(k.Headers[h], "\r\n\x00") {
				bad("%sheaders: %q cannot be sent", at, h)
			}
		}
	}
}

// connections are those of the configuration, with their secrets.
func (c *Config) connections() (map[string]*connector.Connection, error) {
	all := make(map[string]*connector.Connection, len(c.Connections))
	for name, k := range c.Connections {
		s, err := secret("connections."+name+".secret", k.SecretEnv, k.SecretFile)
		if err != nil {
			return nil, err
		}
		out := &connector.Connection{Headers: k.Headers, Query: k.Query}
		for _, e := range k.Endpoints {
			u, err := connector.Endpoint(e)
			if err != nil {
				return nil, fmt.Errorf("connections.%s.endpoints: %w", name, err)
			}
			out.Endpoints = append(out.Endpoints, u)
		}
		var body []value.Member
		for _, key := range slices.Sorted(maps.Keys(k.Body)) {
			body = append(body, value.Member{Key: key, Value: value.String(k.Body[key])})
		}
		if len(body) > 0 {
			out.Body = value.Object(body...)
		}
		switch k.Auth {
		case "basic":
			out.Auth = connector.BasicAuth{User: k.Username, Password: s}
		case "apiKey":
			out.Auth = connector.KeyAuth{Header: k.Header, Value: s}
		case "oauth":
			out.Auth = connector.NewOAuth(connector.OAuthClient{Endpoint: k.TokenEndpoint, ID: k.ClientID, Secret: s, Parameters: k.Token})
		default:
			return nil, fmt.Errorf("connections.%s.auth: %q is none of basic, apiKey and oauth", name, k.Auth)
		}
		all[name] = out
	}
	return all, nil
}
