package flow

import (
	"tokaido/asl"
)

// Unabler is what an Invoker may be besides: it says which tasks it cannot
// perform at all, whatever their arguments.
type Unabler interface {
	// Unable says why a task cannot be performed, or "".
	Unable(part *asl.TaskPart) string
}

// maxUnable is how many states of a definition a warning is logged for.
const maxUnable = 100

// warnUnable says which states of a machine fail when they are run: it can be
// made all the same, and its tasks can be mocked.
func (s *Service) warnUnable(arn string, p *asl.Program) {
	u, ok := s.cfg.Invoker.(Unabler)
	if !ok {
		return
	}
	n := 0
	warn := func(state, resource, why string) {
		switch n++; {
		case n <= maxUnable:
			s.cfg.Logger.Warn("a state fails when it is run, unless it is mocked", "machine", arn, "state", state, "resource", resource, "why", why)
		case n == maxUnable+1:
			s.cfg.Logger.Warn("more states fail when they are run", "machine", arn)
		}
	}
	var walk func(m *asl.Machine)
	walk = func(m *asl.Machine) {
		for _, st := range m.States {
			if t := st.Task; t != nil && t.Kind != asl.ActivityTask {
				if why := u.Unable(t); why != "" {
					warn(st.Name, t.Resource, why)
				}
			}
			if st.Map != nil {
				if r := st.Map.ItemReader; r != nil {
					warn(st.Name, r.Resource, "This server cannot read items from S3.")
				}
				if w := st.Map.ResultWriter; w != nil && w.Resource != "" {
					warn(st.Name, w.Resource, "This server cannot write results to S3.")
				}
				walk(&st.Map.Processor)
			}
			for i := range st.Branches {
				walk(&st.Branches[i])
			}
		}
	}
	walk(&p.Machine)
}
