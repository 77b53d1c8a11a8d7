// Package console serves the embedded web app and signs people in to it.
//
// Signing in is all it can do: it hands temporary credentials to the page, and
// the page signs its own requests to the AWS APIs of the server, as any client
// does. No cookie signs for it, so no other page can act through it, and what
// the console can do any AWS client with the same permissions can.
//
// The app is built by Vite into embed/app and not committed; a binary built
// without it says so under /console/, and the rest works.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"tokaido/gate"
)

// Prefix is where the console lives. No AWS API has paths below it.
const Prefix = "/console/"

// embed/ is always there (embed/README); embed/app is there once it was built.
//
//go:embed all:embed
var embedded embed.FS

// Config of a Console.
type Config struct {
	Directory Directory
	Gate      *gate.Gate
	Logger    *slog.Logger // nil: none
	Version   string       // shown in the app
	Now       func() time.Time

	// Dev signs anybody in who opens the console from this machine, as Dev's
	// principal. Only a server that takes the key test/test anyway may set it.
	Dev string // ARN; "": nobody
}

// Console serves the app below Prefix.
type Console struct {
	cfg     Config
	app     fs.FS // what Vite built
	index   string
	built   bool
	tickets tickets
}

// New makes a Console of what is embedded.
func New(cfg Config) (*Console, error) {
	app, err := fs.Sub(embedded, "embed/app")
	if err != nil {
		return nil, err
	}
	return newConsole(cfg, app)
}

func newConsole(cfg Config, app fs.FS) (*Console, error) {
	if cfg.Directory == nil || cfg.Gate == nil {
		return nil, errors.New("console: a Directory and a Gate are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Console{cfg: cfg, app: app}
	index, err := fs.ReadFile(app, "index.html")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("console: %w", err)
	}
	settings, err := json.Marshal(settings{Dev: cfg.Dev != "", Version: cfg.Version})
	if err != nil {
		return nil, err
	}
	// What the page must know before anybody signed in is an attribute's value.
	quote := strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;")
	c.index = strings.ReplaceAll(string(index), settingsMark, quote.Replace(string(settings)))
	c.built = true
	return c, nil
}

// Marks in index.html.
const (
	nonceMark    = "__CSP_NONCE__"
	settingsMark = "__CONSOLE_SETTINGS__"
)

// settings is what the page is told.
type settings struct {
	Dev     bool   `json:"dev"`
	Version string `json:"version"`
}

// Built reports whether the binary has the app.
func (c *Console) Built() bool { return c.built }

// Mine reports whether a path belongs to the console.
func Mine(urlPath string) bool {
	return urlPath == strings.TrimSuffix(Prefix, "/") || strings.HasPrefix(urlPath, Prefix)
}

// policy is the Content-Security-Policy; the nonce is for the styles that the
// editor makes. Nothing may come from, or go to, another origin.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; img-src 'self' data: blob:; font-src 'self' data:; " +
	"connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP answers what Mine says is the console's.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	switch r.URL.Path {
	case Prefix + "signin":
		c.signIn(w, r)
		return
	case Prefix + "federation":
		c.federation(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the console is read with GET", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path+"/" == Prefix {
		http.Redirect(w, r, Prefix, http.StatusPermanentRedirect)
		return
	}
	name := path.Clean(strings.TrimPrefix(r.URL.Path, Prefix))
	switch {
	case !c.built:
		c.page(w, r, http.StatusNotFound, notBuilt)
	case strings.HasPrefix(name, "assets/"):
		c.asset(w, r, name)
	default: // a route of the app's
		c.page(w, r, http.StatusOK, c.index)
	}
}

// notBuilt is the page of a binary without the app.
const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Tokaido console: not built</title></head>
<body><h1>This binary has no console</h1>
<p>It was built where Node was missing or too old. Install Node 20.19 or newer, run <code>make build</code>, and start the server again.</p>
<p>The AWS APIs on this port work without it.</p>
<p lang="ja">このバイナリにはコンソールが含まれていません。Node 20.19 以降をインストールし、<code>make build</code> を実行してサーバーを再起動してください。AWS API はこのまま利用できます。</p>
</body></html>
`

func (c *Console) page(w http.ResponseWriter, r *http.Request, status int, text string) {
	b := make([]byte, 18)
	rand.Read(b)
	nonce := base64.StdEncoding.EncodeToString(b)
	h := w.Header()
	h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	text = strings.ReplaceAll(text, nonceMark, nonce)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, text) //nolint:errcheck // the client is gone
	}
}

// types are what the app is made of: not what the machine's tables say of them.
var types = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json",
	".woff2": "font/woff2", ".png": "image/png",
}

// asset serves a file whose name changes with its content. Text is embedded
// compressed and in no other form.
func (c *Console) asset(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	kind := types[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	body, err := fs.ReadFile(c.app, name+".gz")
	switch {
	case err == nil && !takesGzip(r):
		body, err = plain(body)
	case err == nil:
		h.Set("Content-Encoding", "gzip")
	default:
		body, err = fs.ReadFile(c.app, name)
	}
	if err != nil || kind == "" || path.Ext(name) == ".gz" {
		h.Del("Content-Encoding")
		h.Set("Cache-Control", "no-store")
		http.Error(w, "the console has no such file", http.StatusNotFound)
		return
	}
	h.Set("Content-Type", kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the client is gone
	}
}

// takesGzip reads Accept-Encoding as far as it says gzip or not.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// maxAsset is more than any file of the app holds when it is unpacked.
const maxAsset = 32 << 20

func plain(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxAsset))
}
