package iamctl_test

import (
	"strings"
	"testing"
	"time"
)

// A key's life: made, listed without its secret, put out of use, given a new
// secret, deleted; and no record has a secret.
func TestAPIKeys(t *testing.T) {
	f := serve(t)
	if status, _ := f.ask("CreateUser", "UserName", "ann"); status != 200 {
		t.Fatal("no user")
	}
	status, doc := f.ask("CreateServiceSpecificCredential", "UserName", "ann", "ServiceName", "bedrock.amazonaws.com", "CredentialAgeDays", "30")
	made := doc.at("CreateServiceSpecificCredentialResult/ServiceSpecificCredential")
	token, id := made.text("ServiceCredentialSecret"), made.text("ServiceSpecificCredentialId")
	if status != 200 || !strings.HasPrefix(token, "ABSKQmVkcm9ja0FQSUtleS") || len(token) != 136 || made.text("ExpirationDate") == "" || !strings.HasPrefix(made.text("ServiceCredentialAlias"), "BedrockAPIKey-") {
		t.Fatalf("%d %+v", status, made)
	}
	good := func(token string, want bool) {
		t.Helper()
		b, err := f.Dir.Bearer(t.Context(), token, time.Now())
		if (err == nil) != want || want && (b.Principal.Name != "ann" || b.Kind != "LONG_TERM") {
			t.Errorf("%+v %v, want it to be good: %v", b, err, want)
		}
	}
	good(token, true)
	if status, doc := f.ask("ListServiceSpecificCredentials", "UserName", "ann"); status != 200 ||
		len(doc.names("ListServiceSpecificCredentialsResult/ServiceSpecificCredentials", "ServiceSpecificCredentialId")) != 1 || strings.Contains(doc.at("ListServiceSpecificCredentialsResult").Text, token) {
		t.Errorf("%d %+v", status, doc)
	}
	f.ask("UpdateServiceSpecificCredential", "UserName", "ann", "ServiceSpecificCredentialId", id, "Status", "Inactive")
	good(token, false)
	f.ask("UpdateServiceSpecificCredential", "UserName", "ann", "ServiceSpecificCredentialId", id, "Status", "Active")
	good(token, true)
	if status, _ := f.ask("DeleteUser", "UserName", "ann"); status != 409 {
		t.Errorf("a user with API keys is deleted: %d", status)
	}
	_, doc = f.ask("ResetServiceSpecificCredential", "UserName", "ann", "ServiceSpecificCredentialId", id)
	newer := doc.at("ResetServiceSpecificCredentialResult/ServiceSpecificCredential").text("ServiceCredentialSecret")
	good(token, false)
	good(newer, true)
	if status, _ := f.ask("CreateServiceSpecificCredential", "UserName", "ann", "ServiceName", "codecommit.amazonaws.com"); status != 404 {
		t.Errorf("another service: %d", status)
	}
	f.ask("CreateServiceSpecificCredential", "UserName", "ann", "ServiceName", "bedrock.amazonaws.com")
	if status, _ := f.ask("CreateServiceSpecificCredential", "UserName", "ann", "ServiceName", "bedrock.amazonaws.com"); status != 409 {
		t.Errorf("a third key: %d", status)
	}
	f.ask("DeleteServiceSpecificCredential", "UserName", "ann", "ServiceSpecificCredentialId", id)
	good(newer, false)
	for _, r := range f.Log.All() {
		if s := r.Response.JSON() + r.Request.JSON(); strings.Contains(s, token) || strings.Contains(s, newer) {
			t.Errorf("the record of %s has a secret: %s", r.Name, s)
		}
	}
}
