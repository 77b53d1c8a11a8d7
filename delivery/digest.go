package delivery

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tokaido/internal/durable"
)

const (
	keyFile = "digest-key.pem"
	keyBits = 2048
	// keyYears is how long a key is good for.
	keyYears = 10
	// madeLine says in the PEM block when the key was made.
	madeLine = "Made"
)

// signingKey signs digest files.
type signingKey struct {
	private *rsa.PrivateKey
	made    time.Time
}

// PublicKey is what ListPublicKeys shows.
type PublicKey struct {
	DER         []byte // PKCS #1
	Fingerprint string
	From, To    time.Time
}

// openKey reads the key, or makes it.
func openKey(file string, now func() time.Time) (*signingKey, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		private, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return nil, err
		}
		k := &signingKey{private, now().UTC().Truncate(time.Second)}
		block := &pem.Block{
			Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private),
			Headers: map[string]string{madeLine: k.made.Format(time.RFC3339)},
		}
		return k, durable.WriteFile(file, pem.EncodeToMemory(block))
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", file)
	}
	k := new(signingKey)
	if k.private, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if k.made, err = time.Parse(time.RFC3339, block.Headers[madeLine]); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

func (k *signingKey) public() PublicKey {
	der := x509.MarshalPKCS1PublicKey(&k.private.PublicKey)
	sum := sha256.Sum256(der)
	return PublicKey{der, hex.EncodeToString(sum[:16]), k.made, k.made.AddDate(keyYears, 0, 0)}
}

// PublicKeys returns the keys that were good at any time between two.
func (s *Service) PublicKeys(from, to time.Time) []PublicKey {
	k := s.key.public()
	if from.After(k.To) || to.Before(k.From) {
		return nil
	}
	return []PublicKey{k}
}

// digestFile is a digest file as CloudTrail writes it.
type digestFile struct {
	AwsAccountID                string      `json:"awsAccountId"`
	DigestStartTime             string      `json:"digestStartTime"`
	DigestEndTime               string      `json:"digestEndTime"`
	DigestS3Bucket              string      `json:"digestS3Bucket"`
	DigestS3Object              string      `json:"digestS3Object"`
	DigestPublicKeyFingerprint  string      `json:"digestPublicKeyFingerprint"`
	DigestSignatureAlgorithm    string      `json:"digestSignatureAlgorithm"`
	NewestEventTime             *string     `json:"newestEventTime"`
	OldestEventTime             *string     `json:"oldestEventTime"`
	PreviousDigestS3Bucket      *string     `json:"previousDigestS3Bucket"`
	PreviousDigestS3Object      *string     `json:"previousDigestS3Object"`
	PreviousDigestHashValue     *string     `json:"previousDigestHashValue"`
	PreviousDigestHashAlgorithm *string     `json:"previousDigestHashAlgorithm"`
	PreviousDigestSignature     *string     `json:"previousDigestSignature"`
	LogFiles                    []digestLog `json:"logFiles"`
}

type digestLog struct {
	S3Bucket        string `json:"s3Bucket"`
	S3Object        string `json:"s3Object"`
	HashValue       string `json:"hashValue"`
	HashAlgorithm   string `json:"hashAlgorithm"`
	NewestEventTime string `json:"newestEventTime"`
	OldestEventTime string `json:"oldestEventTime"`
}

const (
	second             = "2006-01-02T15:04:05Z"
	signatureAlgorithm = "SHA256withRSA"
	hashAlgorithm      = "SHA-256"
)

// digest writes the digest file of a Region, which continues the one before.
// After a crash it is made again, later and with the same predecessor: the one
// before stays in the folder, and leads nowhere.
func (s *Service) digest(t *state, region string, r *regionState) error {
	now := s.cfg.Now().UTC().Truncate(time.Second)
	if !now.After(r.Since.Truncate(time.Second)) {
		return nil // its name has only seconds: the next one takes these files
	}
	d := digestFile{
		AwsAccountID: s.cfg.Account, DigestStartTime: r.Since.UTC().Format(second), DigestEndTime: now.Format(second),
		DigestS3Bucket: t.Bucket, DigestPublicKeyFingerprint: s.key.public().Fingerprint,
		DigestSignatureAlgorithm: signatureAlgorithm, LogFiles: []digestLog{},
	}
	d.DigestS3Object = t.key("AWSLogs/%[1]s/CloudTrail-Digest/%[2]s/%[3]s/%[1]s_CloudTrail-Digest_%[2]s_%[4]s_%[5]s_%[6]s.json.gz",
		s.cfg.Account, region, now.Format("2006/01/02"), t.Name, t.HomeRegion, now.Format("20060102T150405Z"))
	previous := "null"
	if p := r.Last; p != nil {
		d.PreviousDigestS3Bucket, d.PreviousDigestS3Object = &p.Bucket, &p.Key
		d.PreviousDigestHashValue, d.PreviousDigestHashAlgorithm = &p.Hash, new(hashAlgorithm)
		d.PreviousDigestSignature = &p.Signature
		previous = p.Signature
	}
	var oldest, newest time.Time
	for i, f := range r.Files {
		if i == 0 || f.Oldest.Before(oldest) {
			oldest = f.Oldest
		}
		if i == 0 || f.Newest.After(newest) {
			newest = f.Newest
		}
		d.LogFiles = append(d.LogFiles, digestLog{f.Bucket, f.Key, f.Hash, hashAlgorithm, f.Newest.UTC().Format(second), f.Oldest.UTC().Format(second)})
	}
	if len(r.Files) > 0 {
		d.OldestEventTime, d.NewestEventTime = new(oldest.UTC().Format(second)), new(newest.UTC().Format(second))
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	hash := hex.EncodeToString(sum[:])
	signed := sha256.Sum256([]byte(d.DigestEndTime + "\n" + d.DigestS3Bucket + "/" + d.DigestS3Object + "\n" + hash + "\n" + previous))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key.private, crypto.SHA256, signed[:])
	if err != nil {
		return err
	}
	zipped, err := pack(b)
	if err != nil {
		return err
	}
	signature := hex.EncodeToString(sig)
	err = (&Bucket{dir: filepath.Join(s.cfg.Buckets, t.Bucket)}).put(d.DigestS3Object, zipped, map[string]string{
		"signature": signature, "signature-algorithm": signatureAlgorithm,
	})
	if err != nil {
		return err
	}
	r.Last = &digestRef{t.Bucket, d.DigestS3Object, hash, signature}
	r.Files, r.Since, t.LatestDigest = nil, now, now
	return s.save()
}
