package simulated_test

import (
	"testing"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/backendtest"
	"tokaido/bedrock/backend/simulated"
)

func TestContract(t *testing.T) {
	behaving := func(_ *testing.T, b backendtest.Behaviour) bedrock.Backend {
		return simulated.New(simulated.Options{Others: simulated.Behaviour{
			Latency: b.Latency, Throttle: b.Throttle, Fail: b.Fail, Break: b.Break, CutAfter: b.CutAfter, Pace: b.Pace,
		}})
	}
	backendtest.Test(t, behaving)
	backendtest.Embeddings(t, behaving)
}
