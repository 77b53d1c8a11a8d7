package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

func policyCommand() *cobra.Command {
	return group("policy", "Policies: the least one, what is wrong with one, why a request was refused", generateCommand(), checkCommand(), explainCommand())
}

// language is the one that the environment asks for.
func language(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			if strings.HasPrefix(v, "ja") {
				return "ja"
			}
			return "en"
		}
	}
	return "en"
}

var requestIDForm = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

// requestID finds the request id in what was given: the id, or an error's text,
// where it stands behind "Request ID:".
func requestID(text string) (string, error) {
	if _, rest, ok := strings.Cut(text, "Request ID:"); ok {
		text = rest
	}
	if id := requestIDForm.FindString(text); id != "" {
		return strings.ToLower(id), nil
	}
	return "", usageError{fmt.Errorf("%q holds no request id (as in 0f8b5c1e-3f5a-4b1e-9d57-2f1f0c7f9a11)", text)}
}
