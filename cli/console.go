package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokaido/awsapi/sigv4"
	"tokaido/console"
	"tokaido/server"
)

const (
	maxSignInAnswer = 64 << 10 // bytes
	linkSession     = "3600"   // seconds that the session of a link lasts, as that of serve's link
	signInRegion    = "us-east-1"
)

func consoleCommand() *cobra.Command {
	var f configFlags
	var endpoint, role string
	c := &cobra.Command{
		Use:   "console",
		Short: "Print a new link that signs in to the web console",
		Long: `Print a link that signs in to the console of a server that runs: once, within 15
minutes, for an hour.

The link is got as anybody gets one, through AWS's federation protocol: a key is
exchanged for temporary credentials, and these for a sign-in token. The key is the one of
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the root key in the data directory; the
server learns no more than from any other client, and there is no other way in. With
--role the link signs in as that role, and can do no more than it; as in AWS, a user may
assume a role, and the root user may not.

The server is the one of --endpoint, else of AWS_ENDPOINT_URL, else the configuration's.
Since the credentials are sent to it, it must be at this machine, or be reached by https.`,
		Example: `  tokaido console
  tokaido console --role arn:aws:iam::123456789012:role/Auditor`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			u, err := consoleEndpoint(cmp.Or(endpoint, os.Getenv("AWS_ENDPOINT_URL")), cfg.Listen)
			if err != nil {
				return err
			}
			key, whose, err := consoleKey(cfg.DataDir, os.LookupEnv)
			if err != nil {
				return err
			}
			b := broker{endpoint: u, client: &http.Client{Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
			token, who, err := b.token(c.Context(), key, role)
			if err != nil {
				return fmt.Errorf("%s, with %s: %w", u, whose, err)
			}
			fmt.Fprintf(c.ErrOrStderr(), "The link signs in as %s, once, within 15 minutes:\n", who)
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s%s#signin=%s\n", u, console.Prefix, token)
			return err
		},
	}
	f.data(c)
	c.Flags().StringVar(&endpoint, "endpoint", "", "`URL` of the server (default: AWS_ENDPOINT_URL, else where the configuration listens)")
	c.Flags().StringVar(&role, "role", "", "`ARN` of the role to sign in as (default: the key's own user)")
	return c
}

// consoleEndpoint is the server's URL without a path: the one that was asked for,
// or where the configuration listens.
func consoleEndpoint(asked, listen string) (string, error) {
	if asked == "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return "", err
		}
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			host = "127.0.0.1" // it listens everywhere, and so here
		}
		asked = "http://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(asked)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", usageError{fmt.Errorf("%q is not the URL of a server", asked)}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return "", usageError{fmt.Errorf("%s is another machine, and http would show it and everybody between the credentials: run this there, or name it with https", u.Host)}
	}
	return u.Scheme + "://" + u.Host, nil
}

// consoleKey is what the link is asked for with, and where that is from.
func consoleKey(dir string, env func(string) (string, bool)) (sigv4.Credentials, string, error) {
	if id, ok := env("AWS_ACCESS_KEY_ID"); ok && id != "" {
		secret, _ := env("AWS_SECRET_ACCESS_KEY")
		token, _ := env("AWS_SESSION_TOKEN")
		if secret == "" {
			return sigv4.Credentials{}, "", errors.New("AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not")
		}
		return sigv4.Credentials{AccessKeyID: id, Secret: secret, SessionToken: token}, "the key of AWS_ACCESS_KEY_ID", nil
	}
	file := filepath.Join(dir, server.RootKeyFile)
	b, err := os.ReadFile(file)
	if err != nil {
		return sigv4.Credentials{}, "", fmt.Errorf("neither AWS_ACCESS_KEY_ID nor a root key: %w", err)
	}
	var k server.Key
	if err := json.Unmarshal(b, &k); err != nil || k.AccessKeyID == "" || k.Secret == "" {
		return sigv4.Credentials{}, "", fmt.Errorf("%s holds no key", file)
	}
	return sigv4.Credentials{AccessKeyID: k.AccessKeyID, Secret: k.Secret}, "the key of " + file, nil
}

// broker asks a server for sign-in tokens, as AWS's custom identity brokers do.
type broker struct {
	endpoint string
	client   *http.Client
}

// token exchanges a key for a sign-in token, and says whom it signs in.
func (b broker) token(ctx context.Context, key sigv4.Credentials, role string) (token, who string, err error) {
	who, err = b.caller(ctx, key)
	if err != nil {
		return "", "", err
	}
	temporary := key
	if role != "" || key.SessionToken == "" {
		var as string
		if temporary, as, err = b.exchange(ctx, key, role); err != nil {
			return "", "", err
		}
		who = cmp.Or(as, who)
	}
	session, err := json.Marshal(map[string]string{"sessionId": temporary.AccessKeyID, "sessionKey": temporary.Secret, "sessionToken": temporary.SessionToken})
	if err != nil {
		return "", "", err
	}
	// In the body: a URL is written to logs on its way.
	answer, err := b.post(ctx, console.Prefix+"federation", url.Values{"Action": {"getSigninToken"}, "Session": {string(session)}}, nil)
	if err != nil {
		return "", "", err
	}
	var got struct{ SigninToken string }
	if err := json.Unmarshal(answer, &got); err != nil || got.SigninToken == "" || url.QueryEscape(got.SigninToken) != got.SigninToken {
		return "", "", errors.New("the server gave no sign-in token")
	}
	return got.SigninToken, who, nil
}

// caller is the ARN that a key is of.
func (b broker) caller(ctx context.Context, key sigv4.Credentials) (string, error) {
	var got struct {
		Arn string `xml:"GetCallerIdentityResult>Arn"`
	}
	return got.Arn, b.sts(ctx, key, url.Values{"Action": {"GetCallerIdentity"}}, &got)
}

// exchange gets temporary credentials: of the key's own user, or of a role, whose
// session's ARN it tells.
func (b broker) exchange(ctx context.Context, key sigv4.Credentials, role string) (sigv4.Credentials, string, error) {
	type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
	var got struct {
		Own  credentials `xml:"GetSessionTokenResult>Credentials"`
		Role credentials `xml:"AssumeRoleResult>Credentials"`
		Arn  string      `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
	}
	form := url.Values{"Action": {"GetSessionToken"}, "DurationSeconds": {linkSession}}
	if role != "" {
		form = url.Values{"Action": {"AssumeRole"}, "RoleArn": {role}, "RoleSessionName": {"console"}, "DurationSeconds": {linkSession}}
	}
	if err := b.sts(ctx, key, form, &got); err != nil {
		return sigv4.Credentials{}, "", err
	}
	c := got.Own
	if role != "" {
		c = got.Role
	}
	if c.AccessKeyId == "" || c.SecretAccessKey == "" || c.SessionToken == "" {
		return sigv4.Credentials{}, "", errors.New("the server gave no temporary credentials")
	}
	return sigv4.Credentials{AccessKeyID: c.AccessKeyId, Secret: c.SecretAccessKey, SessionToken: c.SessionToken}, got.Arn, nil
}

// sts asks STS, and reads its answer into out.
func (b broker) sts(ctx context.Context, key sigv4.Credentials, form url.Values, out any) error {
	form.Set("Version", "2011-06-15")
	answer, err := b.post(ctx, "/", form, &key)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer cannot be read: %w", form.Get("Action"), err)
	}
	return nil
}

// post sends a form, signed if there is a key.
func (b broker) post(ctx context.Context, path string, form url.Values, key *sigv4.Credentials) ([]byte, error) {
	body := []byte(form.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != nil {
		headers := [][2]string{{"Host", r.URL.Host}, {"Content-Type", r.Header.Get("Content-Type")}}
		add, err := sigv4.Sign(sigv4.Request{Method: r.Method, Target: path, Headers: headers, Body: body}, sigv4.Options{Service: "sts", Region: signInRegion, Now: time.Now()}, *key)
		if err != nil {
			return nil, err
		}
		for _, h := range add {
			r.Header.Set(h[0], h[1])
		}
	}
	resp, err := b.client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the URL is said already
		}
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxSignInAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var fault struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		if xml.Unmarshal(answer, &fault) == nil && fault.Code != "" {
			return nil, fmt.Errorf("%s: %.300s", fault.Code, fault.Message)
		}
		return nil, fmt.Errorf("%s: %.300s", resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}
