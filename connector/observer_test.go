package connector

import (
	"errors"
	"testing"

	"tokaido/bedrock"
)

type told struct {
	began, ended int
	result       *bedrock.Result
	err          error
}

func (o *told) Began(*bedrock.Plan) { o.began++ }
func (o *told) Ended(_ *bedrock.Plan, r *bedrock.Result, err error) {
	o.ended++
	o.result, o.err = r, err
}

// What is begun is ended, however the run ends.
func TestObserved(t *testing.T) {
	plan, res, bad := &bedrock.Plan{}, &bedrock.Result{Region: "ap-northeast-1"}, errors.New("no")
	for name, run := range map[string]func() (*bedrock.Result, error){
		"served":   func() (*bedrock.Result, error) { return res, nil },
		"failed":   func() (*bedrock.Result, error) { return res, bad },
		"panicked": func() (*bedrock.Result, error) { panic("ours") },
	} {
		o := &told{}
		in := &Inference{Observer: o}
		func() {
			defer func() {
				if x := recover(); (x != nil) != (name == "panicked") {
					t.Errorf("%s: recovered %v", name, x)
				}
			}()
			if r, err := in.observed(plan, run); r != res || (err != nil) != (name == "failed") {
				t.Errorf("%s: %v, %v", name, r, err)
			}
		}()
		if o.began != 1 || o.ended != 1 || (o.err == nil) != (name == "served") || (o.result == nil) != (name == "panicked") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if r, err := (&Inference{}).observed(plan, func() (*bedrock.Result, error) { return res, nil }); r != res || err != nil {
		t.Error("without an Observer: ", r, err)
	}
}
