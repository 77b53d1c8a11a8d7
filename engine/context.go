package engine

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// see is what the fields of th's state see, with input as their $. It is good
// until the next call: there is one for the whole execution.
func (x *Execution) see(th *thread, input value.Value) *asl.Scope {
	s := &x.scope
	if s.Context == nil {
		s.Context, s.Var, s.Rand = x.contextObject, x.variable, x.rand
	}
	x.cur = th
	s.Input, s.Result, s.Error = input, value.Value{}, value.Value{}
	s.Now = time.UnixMilli(x.at).UTC()
	return s
}

func (x *Execution) variable(name string) (value.Value, bool) { return x.cur.variable(name) }

// rand is splitmix64. It starts from the seed and from where the execution is,
// so that a Step decided again after a crash decides the same.
func (x *Execution) rand() uint64 {
	x.random += 0x9e3779b97f4a7c15
	return mix(x.random)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// makeToken gives the task that is about to be scheduled its token.
func (x *Execution) makeToken() {
	if x.token != "" {
		return
	}
	id := x.seq + 1
	if x.cfg.Token != nil {
		x.token = x.cfg.Token(id)
		return
	}
	var b [24]byte
	z := x.cfg.Seed ^ mix(uint64(id))
	for i := range 3 {
		z = mix(z + 0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(b[8*i:], z)
	}
	x.token = base64.URLEncoding.EncodeToString(b[:])
}

// stamp is a time as the context object has it.
func stamp(ms int64) value.Value {
	return value.String(time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00"))
}

// contextObject is the context object as the state in x.cur sees it.
func (x *Execution) contextObject() value.Value {
	if x.context.IsUndefined() {
		m := []value.Member{
			{Key: "Id", Value: value.String(x.cfg.ExecutionARN)},
			{Key: "Input", Value: x.input},
			{Key: "Name", Value: value.String(x.cfg.Name)},
			{Key: "RoleArn", Value: value.String(x.cfg.RoleARN)},
			{Key: "StartTime", Value: stamp(x.started)},
		}
		if !x.cfg.Sync {
			m = append(m, value.Member{Key: "RedriveCount", Value: value.Int(x.redrives)})
		}
		if x.redriven != 0 {
			m = append(m, value.Member{Key: "RedriveTime", Value: stamp(x.redriven)})
		}
		x.context = value.Object(m...)
	}
	m := []value.Member{
		{Key: "Execution", Value: x.context},
		{Key: "StateMachine", Value: value.Object(
			value.Member{Key: "Id", Value: value.String(x.cfg.MachineARN)},
			value.Member{Key: "Name", Value: value.String(x.cfg.MachineName)},
		)},
	}
	th := x.cur
	if st := th.state; st != nil {
		s := []value.Member{{Key: "Name", Value: value.String(st.Name)}, {Key: "EnteredTime", Value: stamp(th.enteredAt)}}
		switch st.Type {
		case asl.Task, asl.Parallel, asl.Map:
			s = append(s, value.Member{Key: "RetryCount", Value: value.Int(int64(th.retried))})
		}
		m = append(m, value.Member{Key: "State", Value: value.Object(s...)})
		if x.scheduling && st.Task.Kind == asl.ServiceTask && st.Task.Pattern != asl.RequestResponse {
			x.makeToken()
			m = append(m, value.Member{Key: "Task", Value: value.Object(value.Member{Key: "Token", Value: value.String(x.token)})})
		}
	}
	if item := x.mapItem(th); !item.IsUndefined() {
		m = append(m, value.Member{Key: "Map", Value: value.Object(value.Member{Key: "Item", Value: item})})
	}
	return value.Object(m...)
}

// mapItem is Map.Item of the context object: of the ItemSelector that is
// computed, or of the innermost iteration that th is in.
func (x *Execution) mapItem(th *thread) value.Value {
	c, i := th.comp, x.item
	for ; i < 0; th = th.parent {
		if th.parent == nil {
			return value.Value{}
		}
		if p := th.parent; p.state != nil && p.state.Type == asl.Map {
			c, i = p.comp, int(th.index)
		}
	}
	if c == nil {
		return value.Value{}
	}
	m := []value.Member{{Key: "Index", Value: value.Int(int64(i))}}
	if c.items.IsObject() {
		m = append(m, value.Member{Key: "Key", Value: value.String(c.items.Member(i).Key)})
	}
	return value.Object(append(m,
		value.Member{Key: "Value", Value: c.item(i)},
		value.Member{Key: "Source", Value: value.String("STATE_DATA")})...)
}
