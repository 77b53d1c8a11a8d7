package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) file(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue writes name.pem and name.key for 127.0.0.1, and a client or a server of
// that name.
func (a *authority) issue(name, who string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: who}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"example.com"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	c.IPAddresses = append(c.IPAddresses, []byte{127, 0, 0, 1})
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.file(name+".pem", "CERTIFICATE", der)
	a.file(name+".key", "PRIVATE KEY", k)
	pair, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// A server is trusted by its authority, and one that wants to know who asks is
// shown a certificate, also a new one that took the place of the old.
func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue("client", "first")
	other.issue("client", "stranger")
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue("server", "server")}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	ask := func(c Config) (string, error) {
		t.Helper()
		c.Name, c.URL = "x", s.URL
		u, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := u.Whole(t.Context(), Request{Path: "/", Body: []byte("{}")})
		return string(b), err
	}
	good := Config{CAFile: a.path("ca.pem"), CertFile: a.path("client.pem"), KeyFile: a.path("client.key")}
	if got, err := ask(good); got != "first" {
		t.Errorf("%q %v", got, err)
	}
	for name, c := range map[string]struct {
		in   Config
		want string
	}{
		"not-trusted":     {Config{CertFile: good.CertFile, KeyFile: good.KeyFile}, "unknown authority"},
		"wrong-authority": {Config{CAFile: other.path("ca.pem"), CertFile: good.CertFile, KeyFile: good.KeyFile}, "unknown authority"},
		"no-certificate":  {Config{CAFile: good.CAFile}, ""}, // how it ends depends on whose bytes are first
		"stranger":        {Config{CAFile: good.CAFile, CertFile: other.path("client.pem"), KeyFile: other.path("client.key")}, ""},
	} {
		if got, err := ask(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}

	u, err := New(Config{Name: "x", URL: s.URL, CAFile: good.CAFile, CertFile: good.CertFile, KeyFile: good.KeyFile})
	if err != nil {
		t.Fatal(err)
	}
	again := func() string {
		t.Helper()
		u.http.CloseIdleConnections()
		b, _, err := u.Whole(t.Context(), Request{Path: "/", Body: []byte("{}")})
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	if got := again(); got != "first" {
		t.Errorf("it is %s", got)
	}
	a.issue("client", "second")
	later := time.Now().Add(time.Minute) // however coarse the file system's clock
	if err := os.Chtimes(good.CertFile, later, later); err != nil {
		t.Fatal(err)
	}
	if got := again(); got != "second" {
		t.Errorf("after it was renewed it is %s", got)
	}
	if err := os.WriteFile(good.CertFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := again(); got != "second" {
		t.Errorf("with a file that is being written it is %s", got)
	}
	if _, err := New(Config{Name: "x", URL: s.URL, CertFile: good.CertFile, KeyFile: good.KeyFile}); err == nil || !strings.Contains(err.Error(), "certFile") {
		t.Errorf("a file that is no certificate: %v", err)
	}
}
