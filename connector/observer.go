package connector

import (
	"errors"

	"tokaido/bedrock"
)

// Observer is told of every inference that was allowed and makes sense. Its
// methods must be quick, and must not keep or change what they get.
type Observer interface {
	// Began is told before a Region is chosen.
	Began(p *bedrock.Plan)
	// Ended is told once after each Began, also if the call panicked: r is nil then.
	Ended(p *bedrock.Plan, r *bedrock.Result, err error)
}

// errPanicked is what an Observer hears of a call that panicked.
var errPanicked = errors.New("the call panicked")

// observed runs an inference and tells the Observer.
func (in *Inference) observed(p *bedrock.Plan, run func() (*bedrock.Result, error)) (res *bedrock.Result, err error) {
	if in.Observer == nil {
		return run()
	}
	err = errPanicked
	in.Observer.Began(p)
	defer func() { in.Observer.Ended(p, res, err) }()
	return run()
}
