package journal

import (
	"encoding/binary"
	"testing"

	"tokaido/flow"
)

// Records of executions that began before there were test cases are read.
func TestRecordOfVersion1(t *testing.T) {
	x := flow.Execution{Name: "n", Revision: "r", MachineARN: "m", Trace: "t", Seed: 7, TestCase: "c", Origin: "o"}
	b := appendRecord(nil, &x)
	if got, err := decodeRecord(b); err != nil || got != x {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"c", "o"} {
		tail := append(binary.AppendUvarint(nil, uint64(len(s))), s...)
		x.TestCase, x.Origin = "", ""
		b = b[:len(b)-len(tail)]
	}
	b[0] = 1
	if got, err := decodeRecord(b); err != nil || got != x {
		t.Errorf("%+v, %v", got, err)
	}
	b[0] = recordVersion
	if got, err := decodeRecord(b); err == nil {
		t.Errorf("%+v from a record that was cut short", got)
	}
	b[0] = recordVersion + 1
	if got, err := decodeRecord(b); err == nil {
		t.Errorf("%+v from a record of the future", got)
	}
}
