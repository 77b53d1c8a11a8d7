package flow

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/fault"
	"tokaido/flow/answers"
	"tokaido/value"
)

// checkRequest refuses members that do not go together, whatever the state.
func (in *TestState) checkRequest() error {
	if in.Mock == nil {
		for _, x := range []struct {
			given bool
			name  string
		}{
			{in.RetryCount != nil, "RetrierRetryCount"},
			{in.IterationFailures != nil, "MapIterationFailureCount"},
			{in.ErrorCausedBy != nil, "ErrorCausedByState"},
			{in.ReaderData != nil, "MapItemReaderData"},
			{in.Context != nil, "Context"},
		} {
			if x.given {
				return invalid("TestState does not support %s when a mock is not specified.", x.name)
			}
		}
		return nil
	}
	switch m := in.Mock; {
	case (m.Result == nil) == (m.Error == nil):
		return invalid("A test mock should have only one of the following fields: [result, errorOutput].")
	case m.Error != nil && (m.Error.Error == nil || *m.Error.Error == ""):
		return invalid("A mocked errorOutput must have the field 'error'.")
	case in.RevealSecrets:
		return invalid("TestState does not support RevealSecrets when a mock is specified.")
	case in.RetryCount != nil && *in.RetryCount > math.MaxInt32:
		return invalid("RetrierRetryCount is too large: %d", *in.RetryCount)
	}
	return nil
}

// checkState refuses what the state cannot be tried with.
func (in *TestState) checkState(st *asl.State) error {
	composite := st.Type == asl.Map || st.Type == asl.Parallel
	if in.Mock == nil {
		switch {
		case composite:
			return fault.Newf("InvalidDefinition", "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]")
		case st.Type != asl.Task:
			return nil
		case st.Task.Kind == asl.ActivityTask:
			return fault.Newf("InvalidDefinition", "TestState API does not support Activity tasks when a mock is not specified.")
		case st.Task.Pattern != asl.RequestResponse:
			return fault.Newf("InvalidDefinition", "TestState API does not support the '.sync' and '.waitForTaskToken' service integration patterns when a mock is not specified.")
		case in.RoleARN == "":
			return invalid("RoleArn must be specified when testing a Task state")
		}
		return nil
	}
	switch {
	case !composite && st.Type != asl.Task:
		return invalid("State type '%s' is not supported when a mock is specified", st.Type)
	case in.IterationFailures != nil && st.Type != asl.Map:
		return invalid("MapIterationFailureCount is only supported for Map states, and '%s' is a %s state", st.Name, st.Type)
	case in.ReaderData != nil && (st.Type != asl.Map || st.Map.ItemReader == nil):
		return invalid("MapItemReaderData is only supported for Map states with an ItemReader")
	case in.ErrorCausedBy == nil:
	case !composite:
		return invalid("ErrorCausedByState is only supported for Map and Parallel states, and '%s' is a %s state", st.Name, st.Type)
	case in.Mock.Error == nil:
		return invalid("ErrorCausedByState is only supported with a mocked errorOutput")
	case !contains(st, *in.ErrorCausedBy):
		return invalid("State '%s' of ErrorCausedByState not found in state '%s'", *in.ErrorCausedBy, st.Name)
	}
	return nil
}

// contains reports whether there is a state called name inside of st.
func contains(st *asl.State, name string) bool {
	inside := func(m *asl.Machine) bool {
		for _, x := range m.States {
			if x.Name == name || contains(x, name) {
				return true
			}
		}
		return false
	}
	for i := range st.Branches {
		if inside(&st.Branches[i]) {
			return true
		}
	}
	return st.Map != nil && inside(&st.Map.Processor)
}

// mocked is the mock that a state is tried with.
func (in *TestState) mocked(st *asl.State) (*engine.Mock, error) {
	m := in.Mock
	switch {
	case m == nil:
		return nil, nil
	case m.Error != nil:
		return &engine.Mock{Failure: &engine.Failure{Error: m.Error.Error, Cause: m.Error.Cause}}, nil
	}
	v, err := value.ParseString(*m.Result)
	switch {
	case err != nil:
		return nil, invalid("Mocked result must be valid JSON")
	case st.Type == asl.Task:
		if err := checkAnswer(st.Task, v, m.Mode); err != nil {
			return nil, err
		}
	case st.Type == asl.Map && st.Map.ResultWriter != nil && st.Map.ResultWriter.Resource != "":
		if !v.IsObject() {
			return nil, invalid("Mocked result must be a JSON object.")
		}
	case !v.IsArray():
		return nil, invalid("Mocked result must be an array.")
	case st.Type == asl.Parallel && v.Len() != len(st.Branches):
		return nil, invalid("Mocked result must contain the same number of items as number of Parallel branches.")
	}
	return &engine.Mock{Result: v}, nil
}

// checkAnswer holds a mocked result to what the service answers that t calls.
func checkAnswer(t *asl.TaskPart, v value.Value, mode string) error {
	if mode == "NONE" {
		return nil
	}
	m, err := modelOf(t)
	switch {
	case errors.Is(err, answers.ErrUnknown):
		return invalid("The fieldValidationMode of the mock must be 'NONE' for '%s': this server has no model of what it answers.", t.Resource)
	case err != nil || m == nil:
		return err
	}
	if why := m.Check(v, mode != "PRESENT"); why != "" {
		return invalid("Mock result schema validation error: %s", why)
	}
	return nil
}

// models names the models of the services of optimized integrations that have
// another name there. "": what they answer is Step Functions' own.
var models = map[string]string{
	"states": "sfn", "events": "eventbridge", "emr-containers": "emrcontainers", "emr-serverless": "emrserverless",
	"apigateway": "", "http": "", "elasticmapreduce": "", "eks:call": "", "eks:runJob": "", "bedrock:invokeModel": "bedrockruntime",
}

// polled is the operation whose answer is the result of a .sync task.
var polled = map[string]string{
	"athena:startQueryExecution":              "getQueryExecution",
	"batch:submitJob":                         "describeJobs",
	"bedrock:createModelCustomizationJob":     "getModelCustomizationJob",
	"codebuild:startBuild":                    "batchGetBuilds",
	"codebuild:startBuildBatch":               "batchGetBuildBatches",
	"codebuild:retryBuildBatch":               "batchGetBuildBatches",
	"databrew:startJobRun":                    "describeJobRun",
	"ecs:runTask":                             "describeTasks",
	"eks:createCluster":                       "describeCluster",
	"eks:deleteCluster":                       "describeCluster",
	"eks:createFargateProfile":                "describeFargateProfile",
	"eks:deleteFargateProfile":                "describeFargateProfile",
	"eks:createNodegroup":                     "describeNodegroup",
	"eks:deleteNodegroup":                     "describeNodegroup",
	"emr-containers:deleteVirtualCluster":     "describeVirtualCluster",
	"emr-containers:startJobRun":              "describeJobRun",
	"emr-serverless:createApplication":        "getApplication",
	"emr-serverless:deleteApplication":        "getApplication",
	"emr-serverless:startApplication":         "getApplication",
	"emr-serverless:stopApplication":          "getApplication",
	"emr-serverless:startJobRun":              "getJobRun",
	"glue:startJobRun":                        "getJobRun",
	"mediaconvert:createJob":                  "getJob",
	"sagemaker:createHyperParameterTuningJob": "describeHyperParameterTuningJob",
	"sagemaker:createLabelingJob":             "describeLabelingJob",
	"sagemaker:createProcessingJob":           "describeProcessingJob",
	"sagemaker:createTrainingJob":             "describeTrainingJob",
	"sagemaker:createTransformJob":            "describeTransformJob",
	"states:startExecution":                   "describeExecution",
}

// modelOf finds what a task answers; nil if that may be anything.
func modelOf(t *asl.TaskPart) (*answers.Model, error) {
	if t.Kind != asl.ServiceTask || t.Pattern == asl.WaitForTaskToken {
		return nil, nil
	}
	if sdk, ok := strings.CutPrefix(t.Service, "aws-sdk:"); ok {
		return answers.Find(sdk, t.Action, answers.Java)
	}
	call, action := t.Service+":"+t.Action, t.Action
	service, ok := models[call]
	if !ok {
		if service, ok = models[t.Service]; !ok {
			service = t.Service
		}
	}
	if service == "" {
		return nil, nil
	}
	if t.Pattern == asl.Sync || t.Pattern == asl.Sync2 {
		if action, ok = polled[call]; !ok {
			return nil, fmt.Errorf("nothing is known about how %s ends", t.Resource)
		}
	}
	var free []string
	switch { // documents here, texts in the model
	case call == "lambda:invoke":
		free = []string{"Payload"}
	case call == "bedrock:invokeModel":
		free = []string{"Body"}
	case t.Pattern == asl.Sync2:
		free = []string{"Input", "Output"}
	}
	return answers.Find(service, action, answers.Capital, free...)
}

// contextFields are the members that a context object may have, and what those
// must be: "" is anything.
var contextFields = map[string]map[string]string{
	"Execution":    {"Id": "a string", "Input": "", "Name": "a string", "RoleArn": "a string", "StartTime": "a string", "RedriveCount": "a number", "RedriveTime": "a string"},
	"State":        {"EnteredTime": "a string", "Name": "a string", "RetryCount": "a number"},
	"StateMachine": {"Id": "a string", "Name": "a string"},
	"Task":         {"Token": "a string"},
}

// contextObject is the context object that a state is to see; Undefined if none
// was given.
func (in *TestState) contextObject(st *asl.State) (value.Value, error) {
	if in.Context == nil {
		return value.Value{}, nil
	}
	bad := func(format string, args ...any) (value.Value, error) {
		return value.Value{}, invalid("Invalid Context object provided: %s", fmt.Sprintf(format, args...))
	}
	c, err := object(*in.Context)
	if err != nil {
		return bad("Context must be a JSON object")
	}
	for part, v := range c.Members() {
		fields, ok := contextFields[part]
		switch {
		case part == "Map":
			return bad("'Map' field is not supported when mocking a Context object")
		case !ok:
			return bad("Field '%s' is not allowed", part)
		case part == "Task" && (st.Type != asl.Task || st.Task.Kind != asl.ServiceTask || st.Task.Pattern == asl.RequestResponse):
			return bad("Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern")
		case !v.IsObject():
			return bad("%s must be an object", part)
		}
		for name, x := range v.Members() {
			want, ok := fields[name]
			switch {
			case !ok:
				return bad("Field '%s.%s' is not allowed", part, name)
			case want == "a string" && !x.IsString(), want == "a number" && !x.IsNumber():
				return bad("%s.%s must be %s", part, name, want)
			}
		}
	}
	return c, nil
}
