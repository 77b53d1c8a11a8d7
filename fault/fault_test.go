package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"tokaido/fault"
)

func TestCodeThroughWrapping(t *testing.T) {
	cause := errors.New("disk")
	f := &fault.Error{Kind: fault.Server, Code: "ServiceUnavailable", Message: "later", Err: cause}
	err := fmt.Errorf("start x: %w", f)
	if fault.Code(err) != "ServiceUnavailable" || !errors.Is(err, cause) {
		t.Errorf("lost in %v", err)
	}
	if fault.Code(cause) != "" {
		t.Error("a plain error has a code")
	}
	if got := fault.Newf("InvalidArn", "Invalid Arn: '%s'", "x").Error(); got != "InvalidArn: Invalid Arn: 'x'" {
		t.Error(got)
	}
}
