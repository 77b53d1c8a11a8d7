package policygen

import (
	"net/url"
	"slices"
	"strings"

	"tokaido/asl"
	"tokaido/iam"
	"tokaido/value"
)

// permit is what an integration needs, as a line of the table.
type permit struct {
	name    string // of the statement
	actions string
	on      string // resources: "*", or SERVICE:RESOURCE in the machine's Region and account, with {Field} for what an argument names
	sync    bool   // for .sync only
}

// handover is a role that the service gets to use.
type handover struct {
	field   string // of the arguments, with dots; the role's ARN or name
	service string
}

type integration struct {
	permits []permit
	pass    []handover
	rule    string // the managed rule through which the end of a .sync job is heard of
}

// integrations are those whose needs follow from their arguments alone, line by
// line. Those that need more than that are methods: see optimized.
var integrations = map[string]integration{
	"glue:startJobRun": {permits: []permit{
		{"GlueJob", "glue:StartJobRun", "glue:job/{JobName}", false},
		{"GlueJob", "glue:GetJobRun glue:GetJobRuns glue:BatchStopJobRun", "glue:job/{JobName}", true}}},
	"databrew:startJobRun": {permits: []permit{
		{"DataBrewJob", "databrew:StartJobRun", "databrew:job/{Name}", false},
		{"DataBrewJob", "databrew:ListJobRuns databrew:StopJobRun", "databrew:job/{Name}", true}}},
	"batch:submitJob": {permits: []permit{
		{"BatchSubmit", "batch:SubmitJob", "batch:job-definition/{JobDefinition}", false},
		{"BatchSubmit", "batch:SubmitJob", "batch:job-queue/{JobQueue}", false},
		{"BatchJobs", "batch:DescribeJobs", "*", true},
		{"BatchStop", "batch:TerminateJob", "batch:job/*", true}},
		rule: "StepFunctionsGetEventsForBatchJobsRule"},
	"codebuild:startBuild": {permits: []permit{
		{"CodeBuild", "codebuild:StartBuild", "codebuild:project/{ProjectName}", false},
		{"CodeBuild", "codebuild:StopBuild codebuild:BatchGetBuilds", "codebuild:project/{ProjectName}", true}},
		rule: "StepFunctionsGetEventForCodeBuildStartBuildRule"},
	"codebuild:startBuildBatch": {permits: []permit{
		{"CodeBuild", "codebuild:StartBuildBatch", "codebuild:project/{ProjectName}", false},
		{"CodeBuild", "codebuild:StopBuildBatch codebuild:BatchGetBuildBatches", "codebuild:project/{ProjectName}", true}},
		rule: "StepFunctionsGetEventForCodeBuildStartBuildBatchRule"},
	"codebuild:retryBuildBatch": {permits: []permit{
		{"CodeBuild", "codebuild:RetryBuildBatch", "codebuild:project/*", false},
		{"CodeBuild", "codebuild:StopBuildBatch codebuild:BatchGetBuildBatches", "codebuild:project/*", true}},
		rule: "StepFunctionsGetEventForCodeBuildStartBuildBatchRule"},
	"codebuild:stopBuild":         {permits: []permit{{"CodeBuild", "codebuild:StopBuild", "codebuild:project/*", false}}},
	"codebuild:stopBuildBatch":    {permits: []permit{{"CodeBuild", "codebuild:StopBuildBatch", "codebuild:project/*", false}}},
	"codebuild:deleteBuildBatch":  {permits: []permit{{"CodeBuild", "codebuild:DeleteBuildBatch", "codebuild:project/*", false}}},
	"codebuild:batchDeleteBuilds": {permits: []permit{{"CodeBuild", "codebuild:BatchDeleteBuilds", "codebuild:project/*", false}}},
	"codebuild:batchGetReports":   {permits: []permit{{"CodeBuild", "codebuild:BatchGetReports", "codebuild:report-group/*", false}}},

	"sagemaker:createTrainingJob": {permits: []permit{
		{"SageMakerJob", "sagemaker:CreateTrainingJob", "sagemaker:training-job/{TrainingJobName}", false},
		{"SageMakerJob", "sagemaker:DescribeTrainingJob sagemaker:StopTrainingJob sagemaker:AddTags sagemaker:ListTags", "sagemaker:training-job/{TrainingJobName}", true}},
		pass: []handover{{"RoleArn", "sagemaker.amazonaws.com"}}, rule: "StepFunctionsGetEventsForSageMakerTrainingJobsRule"},
	"sagemaker:createTransformJob": {permits: []permit{
		{"SageMakerJob", "sagemaker:CreateTransformJob", "sagemaker:transform-job/{TransformJobName}", false},
		{"SageMakerJob", "sagemaker:DescribeTransformJob sagemaker:StopTransformJob sagemaker:AddTags sagemaker:ListTags", "sagemaker:transform-job/{TransformJobName}", true}},
		rule: "StepFunctionsGetEventsForSageMakerTransformJobsRule"},
	"sagemaker:createHyperParameterTuningJob": {permits: []permit{
		{"SageMakerJob", "sagemaker:CreateHyperParameterTuningJob", "sagemaker:hyper-parameter-tuning-job/{HyperParameterTuningJobName}", false},
		{"SageMakerJob", "sagemaker:DescribeHyperParameterTuningJob sagemaker:StopHyperParameterTuningJob sagemaker:AddTags sagemaker:ListTags", "sagemaker:hyper-parameter-tuning-job/{HyperParameterTuningJobName}", true}},
		pass: []handover{{"TrainingJobDefinition.RoleArn", "sagemaker.amazonaws.com"}}, rule: "StepFunctionsGetEventsForSageMakerTuningJobsRule"},
	"sagemaker:createProcessingJob": {permits: []permit{
		{"SageMakerJob", "sagemaker:CreateProcessingJob", "sagemaker:processing-job/{ProcessingJobName}", false},
		{"SageMakerJob", "sagemaker:DescribeProcessingJob sagemaker:StopProcessingJob sagemaker:AddTags sagemaker:ListTags", "sagemaker:processing-job/{ProcessingJobName}", true}},
		pass: []handover{{"RoleArn", "sagemaker.amazonaws.com"}}},
	"sagemaker:createLabelingJob": {permits: []permit{
		{"SageMakerJob", "sagemaker:CreateLabelingJob", "sagemaker:labeling-job/{LabelingJobName}", false},
		{"SageMakerJob", "sagemaker:DescribeLabelingJob sagemaker:StopLabelingJob sagemaker:AddTags sagemaker:ListTags", "sagemaker:labeling-job/{LabelingJobName}", true}},
		pass: []handover{{"RoleArn", "sagemaker.amazonaws.com"}}},
	"sagemaker:createModel": {permits: []permit{{"SageMaker", "sagemaker:CreateModel", "sagemaker:model/{ModelName}", false}},
		pass: []handover{{"ExecutionRoleArn", "sagemaker.amazonaws.com"}}},
	"sagemaker:createEndpointConfig": {permits: []permit{{"SageMaker", "sagemaker:CreateEndpointConfig", "sagemaker:endpoint-config/{EndpointConfigName}", false}}},
	"sagemaker:createEndpoint": {permits: []permit{
		{"SageMaker", "sagemaker:CreateEndpoint", "sagemaker:endpoint/{EndpointName}", false},
		{"SageMaker", "sagemaker:CreateEndpoint", "sagemaker:endpoint-config/{EndpointConfigName}", false}}},
	"sagemaker:updateEndpoint": {permits: []permit{
		{"SageMaker", "sagemaker:UpdateEndpoint", "sagemaker:endpoint/{EndpointName}", false},
		{"SageMaker", "sagemaker:UpdateEndpoint", "sagemaker:endpoint-config/{EndpointConfigName}", false}}},

	"elasticmapreduce:createCluster": {permits: []permit{
		{"EMRCreate", "elasticmapreduce:RunJobFlow", "*", false},
		{"EMRCluster", "elasticmapreduce:DescribeCluster elasticmapreduce:TerminateJobFlows", "elasticmapreduce:cluster/*", true}},
		pass: []handover{{"ServiceRole", "elasticmapreduce.amazonaws.com"}, {"JobFlowRole", "ec2.amazonaws.com"}},
		rule: "StepFunctionsGetEventForEMRRunJobFlowRule"},
	"elasticmapreduce:terminateCluster": {permits: []permit{
		{"EMRCluster", "elasticmapreduce:TerminateJobFlows", "elasticmapreduce:cluster/{ClusterId}", false},
		{"EMRCluster", "elasticmapreduce:DescribeCluster", "elasticmapreduce:cluster/{ClusterId}", true}},
		rule: "StepFunctionsGetEventForEMRTerminateJobFlowsRule"},
	"elasticmapreduce:addStep": {permits: []permit{
		{"EMRSteps", "elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:cluster/{ClusterId}", false},
		{"EMRSteps", "elasticmapreduce:DescribeStep elasticmapreduce:CancelSteps", "elasticmapreduce:cluster/{ClusterId}", true}},
		rule: "StepFunctionsGetEventForEMRAddJobFlowStepsRule"},
	"elasticmapreduce:cancelStep":                      {permits: []permit{{"EMRSteps", "elasticmapreduce:CancelSteps", "elasticmapreduce:cluster/{ClusterId}", false}}},
	"elasticmapreduce:setClusterTerminationProtection": {permits: []permit{{"EMRCluster", "elasticmapreduce:SetTerminationProtection", "elasticmapreduce:cluster/{ClusterId}", false}}},
	"elasticmapreduce:modifyInstanceFleetByName":       {permits: []permit{{"EMRCluster", "elasticmapreduce:ModifyInstanceFleet elasticmapreduce:ListInstanceFleets", "elasticmapreduce:cluster/{ClusterId}", false}}},
	"elasticmapreduce:modifyInstanceGroupByName":       {permits: []permit{{"EMRCluster", "elasticmapreduce:ModifyInstanceGroups elasticmapreduce:ListInstanceGroups", "elasticmapreduce:cluster/{ClusterId}", false}}},

	"emr-containers:createVirtualCluster": {permits: []permit{{"EMRContainers", "emr-containers:CreateVirtualCluster", "*", false}}},
	"emr-containers:deleteVirtualCluster": {permits: []permit{
		{"EMRContainers", "emr-containers:DeleteVirtualCluster", "emr-containers:/virtualclusters/{Id}", false},
		{"EMRContainers", "emr-containers:DescribeVirtualCluster", "emr-containers:/virtualclusters/{Id}", true}}},
	"emr-containers:startJobRun": {permits: []permit{
		{"EMRContainers", "emr-containers:StartJobRun", "emr-containers:/virtualclusters/{VirtualClusterId}", false},
		{"EMRContainersRuns", "emr-containers:DescribeJobRun emr-containers:CancelJobRun", "emr-containers:/virtualclusters/{VirtualClusterId}/jobruns/*", true}}},

	"emr-serverless:createApplication": {permits: []permit{
		{"EMRServerlessCreate", "emr-serverless:CreateApplication", "emr-serverless:/", false},
		{"EMRServerless", "emr-serverless:GetApplication emr-serverless:DeleteApplication", "emr-serverless:/applications/*", true}},
		rule: "StepFunctionsGetEventsForEMRServerlessApplicationRule"},
	"emr-serverless:startApplication": {permits: []permit{
		{"EMRServerless", "emr-serverless:StartApplication", "emr-serverless:/applications/{ApplicationId}", false},
		{"EMRServerless", "emr-serverless:GetApplication emr-serverless:StopApplication", "emr-serverless:/applications/{ApplicationId}", true}},
		rule: "StepFunctionsGetEventsForEMRServerlessApplicationRule"},
	"emr-serverless:stopApplication": {permits: []permit{
		{"EMRServerless", "emr-serverless:StopApplication", "emr-serverless:/applications/{ApplicationId}", false},
		{"EMRServerless", "emr-serverless:GetApplication", "emr-serverless:/applications/{ApplicationId}", true}},
		rule: "StepFunctionsGetEventsForEMRServerlessApplicationRule"},
	"emr-serverless:deleteApplication": {permits: []permit{
		{"EMRServerless", "emr-serverless:DeleteApplication", "emr-serverless:/applications/{ApplicationId}", false},
		{"EMRServerless", "emr-serverless:GetApplication", "emr-serverless:/applications/{ApplicationId}", true}},
		rule: "StepFunctionsGetEventsForEMRServerlessApplicationRule"},
	"emr-serverless:startJobRun": {permits: []permit{
		{"EMRServerless", "emr-serverless:StartJobRun", "emr-serverless:/applications/{ApplicationId}", false},
		{"EMRServerlessRuns", "emr-serverless:GetJobRun emr-serverless:CancelJobRun", "emr-serverless:/applications/{ApplicationId}/jobruns/*", true}},
		pass: []handover{{"ExecutionRoleArn", "emr-serverless.amazonaws.com"}}, rule: "StepFunctionsGetEventsForEMRServerlessJobRule"},
	"emr-serverless:cancelJobRun": {permits: []permit{
		{"EMRServerlessRuns", "emr-serverless:CancelJobRun", "emr-serverless:/applications/{ApplicationId}/jobruns/{JobRunId}", false},
		{"EMRServerlessRuns", "emr-serverless:GetJobRun", "emr-serverless:/applications/{ApplicationId}/jobruns/{JobRunId}", true}},
		rule: "StepFunctionsGetEventsForEMRServerlessJobRule"},

	"eks:createCluster": {permits: []permit{
		{"EKS", "eks:CreateCluster", "*", false},
		{"EKSCluster", "eks:DescribeCluster eks:DeleteCluster", "eks:cluster/{Name}", true}},
		pass: []handover{{"RoleArn", "eks.amazonaws.com"}}},
	"eks:deleteCluster": {permits: []permit{
		{"EKSCluster", "eks:DeleteCluster", "eks:cluster/{Name}", false},
		{"EKSCluster", "eks:DescribeCluster", "eks:cluster/{Name}", true}}},
	"eks:createNodegroup": {permits: []permit{
		{"EKSNodegroup", "eks:CreateNodegroup", "eks:cluster/{ClusterName}", false},
		{"EKSNodegroup", "eks:DescribeNodegroup eks:DeleteNodegroup", "eks:nodegroup/{ClusterName}/{NodegroupName}/*", true}},
		pass: []handover{{"NodeRole", "eks.amazonaws.com"}}},
	"eks:deleteNodegroup": {permits: []permit{
		{"EKSNodegroup", "eks:DeleteNodegroup", "eks:nodegroup/{ClusterName}/{NodegroupName}/*", false},
		{"EKSNodegroup", "eks:DescribeNodegroup", "eks:nodegroup/{ClusterName}/{NodegroupName}/*", true}}},
	"eks:createFargateProfile": {permits: []permit{
		{"EKSFargate", "eks:CreateFargateProfile", "eks:cluster/{ClusterName}", false},
		{"EKSFargate", "eks:DescribeFargateProfile eks:DeleteFargateProfile", "eks:fargateprofile/{ClusterName}/{FargateProfileName}/*", true}},
		pass: []handover{{"PodExecutionRoleArn", "eks-fargate-pods.amazonaws.com"}}},
	"eks:deleteFargateProfile": {permits: []permit{
		{"EKSFargate", "eks:DeleteFargateProfile", "eks:fargateprofile/{ClusterName}/{FargateProfileName}/*", false},
		{"EKSFargate", "eks:DescribeFargateProfile", "eks:fargateprofile/{ClusterName}/{FargateProfileName}/*", true}}},
	// What these two do in a cluster, the cluster allows the role, not IAM.
	"eks:runJob": {},
	"eks:call":   {},

	"mediaconvert:createJob": {permits: []permit{
		{"MediaConvert", "mediaconvert:CreateJob", "mediaconvert:queues/{Queue=Default}", false},
		{"MediaConvertJobs", "mediaconvert:GetJob mediaconvert:CancelJob", "mediaconvert:jobs/*", true}},
		pass: []handover{{"Role", "mediaconvert.amazonaws.com"}}, rule: "StepFunctionsGetEventsForMediaConvertJobRule"},

	"athena:startQueryExecution": {permits: []permit{
		{"AthenaQuery", "athena:StartQueryExecution", "athena:workgroup/{WorkGroup=primary}", false},
		{"AthenaQuery", "athena:GetQueryExecution athena:StopQueryExecution", "athena:workgroup/{WorkGroup=primary}", true}}},
	"athena:stopQueryExecution": {permits: []permit{{"AthenaQuery", "athena:StopQueryExecution", "athena:workgroup/*", false}}},
	"athena:getQueryExecution":  {permits: []permit{{"AthenaQuery", "athena:GetQueryExecution", "athena:workgroup/*", false}}},
	"athena:getQueryResults":    {permits: []permit{{"AthenaQuery", "athena:GetQueryResults", "athena:workgroup/*", false}}},
}

func (g *generator) optimized(t *asl.TaskPart, a args) {
	sync := t.Pattern == asl.Sync || t.Pattern == asl.Sync2
	switch key := t.Service + ":" + t.Action; key {
	case "lambda:invoke":
		g.lambda(a.get("FunctionName"), a.get("Qualifier"))
	case "states:startExecution":
		g.startExecution(a.get("StateMachineArn"), "states:StartExecution", sync)
	case "sqs:sendMessage":
		g.queue("SendMessage", "sqs:SendMessage", a.get("QueueUrl"))
	case "sns:publish":
		g.publish(a)
	case "dynamodb:getItem", "dynamodb:putItem", "dynamodb:updateItem", "dynamodb:deleteItem":
		g.table("dynamodb:"+upper(t.Action), a.get("TableName"))
	case "events:putEvents":
		g.putEvents(a)
	case "bedrock:invokeModel":
		g.invokeModel(a)
	case "bedrock:createModelCustomizationJob":
		g.customize(a, sync)
	case "http:invoke":
		g.http(a)
	case "apigateway:invoke":
		g.apiGateway(a)
	case "ecs:runTask":
		g.runTask(a, sync)
	default:
		in, ok := integrations[key]
		if !ok {
			g.find("PG11", known{field: "Resource", source: t.Resource}, t.Resource)
			return
		}
		g.integration(in, a, sync)
		switch {
		case key == "athena:startQueryExecution":
			g.athena(a)
		case key == "batch:submitJob":
			g.revisions("BatchSubmit", "batch:SubmitJob", a.get("JobDefinition"), "batch", "job-definition/")
		}
	}
}

// revisions allows all revisions of what is named without one.
func (g *generator) revisions(name, action string, k known, service, prefix string) {
	for _, t := range g.values(k).texts {
		if strings.Contains(t[strings.LastIndexByte(t, '/')+1:], ":") {
			continue
		}
		r := g.named(service, prefix, "")(iam.Literal(t))
		if r != "" {
			g.allow(true, iam.Grant{Name: name, Actions: []string{action}, Resources: []string{r + ":*"}})
		}
	}
}

func (g *generator) integration(in integration, a args, sync bool) {
	told := map[string]bool{}
	for _, p := range in.permits {
		if p.sync && !sync {
			continue
		}
		resources, sure := []string{"*"}, true
		if p.on != "*" {
			resources, sure = g.fill(p.on, a, told)
		}
		g.need(sure, p.sync, nil, iam.Grant{Name: p.name, Actions: strings.Fields(p.actions), Resources: resources})
	}
	for _, h := range in.pass {
		k := path(a, h.field)
		if k.absent {
			continue
		}
		g.pass(k, h.service)
	}
	if sync && in.rule != "" {
		g.rule(in.rule)
	}
}

// path follows a field with dots.
func path(a args, field string) known {
	for {
		head, rest, ok := strings.Cut(field, ".")
		if !ok {
			return a.get(field)
		}
		in, found := a.sub(head)
		if !found {
			return known{absent: true, field: field}
		}
		a, field = in, rest
	}
}

// fill makes ARNs of SERVICE:RESOURCE with {Field} or {Field=default}. told are
// the fields that a finding was made of already.
func (g *generator) fill(on string, a args, told map[string]bool) ([]string, bool) {
	service, resource, _ := strings.Cut(on, ":")
	out, sure := []string{""}, true
	for resource != "" {
		before, rest, ok := strings.Cut(resource, "{")
		for i := range out {
			if !strings.HasPrefix(out[i], "arn:") || strings.Contains(before, "/") {
				out[i] += before
			}
		}
		if !ok {
			break
		}
		field, after, _ := strings.Cut(rest, "}")
		field, absent, _ := strings.Cut(field, "=")
		resource = after
		k := a.get(field)
		if k.absent {
			vs := []string{"*"}
			if absent != "" {
				vs = []string{absent}
			}
			k = texts(vs...)
			if absent == "" { // as AWS would refuse the call, or name it itself
				for i := range out {
					out[i] += "*"
				}
				continue
			}
		}
		q := g
		if told[field] {
			q = g.quiet()
		}
		told[field] = true
		vs, known := q.resolve(k, func(s string) string { return s })
		sure = sure && known
		var next []string
		for _, o := range out {
			for _, v := range vs {
				if p := strings.SplitN(v, ":", 6); strings.HasPrefix(v, "arn:") && len(p) == 6 {
					next = append(next, v)
				} else {
					next = append(next, o+v)
				}
			}
		}
		out = next
	}
	for i, o := range out {
		if !strings.HasPrefix(o, "arn:") {
			out[i] = g.here(service, o)
		}
	}
	return slices.Compact(out), sure
}

// rule allows the managed rule that tells of the end of a job.
func (g *generator) rule(name string) {
	g.need(true, true, nil, iam.Grant{Name: "ManagedRule", Actions: []string{"events:PutTargets", "events:PutRule", "events:DescribeRule"},
		Resources: []string{g.here("events", "rule/"+name)}})
}

// pass allows handing a role to a service.
func (g *generator) pass(k known, service string) {
	resources, sure := g.resolve(k, func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			if p := strings.SplitN(s, ":", 6); len(p) == 6 {
				return s
			}
			return ""
		}
		return g.arn("iam", "", g.m.Account, "role/"+s)
	})
	g.allow(sure, iam.Grant{Name: "PassRole", Actions: []string{"iam:PassRole"}, Resources: resources, Condition: one("StringEquals", "iam:PassedToService", service)})
}

// lambda allows the function as it is called: with the qualifier, or without.
func (g *generator) lambda(function, qualifier known) {
	full := g.named("lambda", "function:", "")
	name := func(s string) string {
		// 111122223333:function:name is a form of a name, too.
		if before, after, ok := strings.Cut(s, ":function:"); ok && !strings.HasPrefix(s, "arn:") {
			return g.arn("lambda", g.m.Region, before, "function:"+after)
		}
		return full(s)
	}
	resources, sure := g.resolve(function, name)
	if q := g.values(qualifier); !q.absent {
		vs, known := g.resolve(q, func(s string) string { return s })
		sure = sure && known
		var with []string
		for _, r := range resources {
			_, last, _ := strings.Cut(r, ":function:")
			for _, v := range vs {
				if strings.Contains(last, ":") || strings.HasSuffix(last, "*") {
					with = append(with, r) // it has one; or its end is not known
					break
				}
				with = append(with, r+":"+v)
			}
		}
		resources = with
	}
	g.allow(sure, iam.Grant{Name: "InvokeFunction", Actions: []string{"lambda:InvokeFunction"}, Resources: resources})
}

// startExecution allows starting a machine; the resource is its ARN without
// version or alias, which is in a condition key.
func (g *generator) startExecution(k known, action string, sync bool) {
	k = g.values(k)
	type child struct{ arn, qualifier string }
	var children []child
	sure := true
	if k.dynamic() {
		resources, _ := g.resolve(k, g.named("states", "stateMachine:", ""))
		sure = false
		for _, r := range resources {
			children = append(children, child{arn: r})
		}
	} else {
		for _, t := range k.texts {
			p := strings.SplitN(t, ":", 6)
			if len(p) < 6 || p[2] != "states" || !strings.HasPrefix(p[5], "stateMachine:") {
				g.find("PG03", k, t)
				children = append(children, child{arn: g.here("states", "stateMachine:*")})
				continue
			}
			name, qualifier, _ := strings.Cut(strings.TrimPrefix(p[5], "stateMachine:"), ":")
			name, _, _ = strings.Cut(name, "#") // a test case of this server's
			children = append(children, child{strings.Join(p[:5], ":") + ":stateMachine:" + iam.Literal(name), qualifier})
		}
	}
	for _, c := range children {
		gr := iam.Grant{Name: "StartExecution", Actions: []string{action}, Resources: []string{c.arn}}
		if action == "states:StartSyncExecution" {
			gr.Name = "StartSyncExecution"
		}
		if c.qualifier != "" {
			gr.Condition = one("ForAnyValue:StringEquals", "states:StateMachineQualifier", c.qualifier)
		}
		g.allow(sure, gr)
		if !sync {
			continue
		}
		runs := strings.Replace(c.arn, ":stateMachine:", ":execution:", 1) + ":*"
		if strings.HasSuffix(c.arn, "*") {
			runs = strings.Replace(c.arn, ":stateMachine:", ":execution:", 1)
		}
		g.need(sure, true, nil, iam.Grant{Name: "ChildExecutions", Actions: []string{"states:DescribeExecution", "states:StopExecution"}, Resources: []string{runs}})
	}
	if sync {
		g.rule("StepFunctionsGetEventsForStepFunctionsExecutionRule")
	}
}

// queue allows an action on the queue of a URL.
func (g *generator) queue(name, action string, k known) {
	resources, sure := g.resolve(k, func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			return s
		}
		if s == "*" {
			return g.here("sqs", "*")
		}
		rest, star := strings.CutSuffix(s, "*")
		u, err := url.Parse(rest)
		if err != nil || u.Host == "" {
			return ""
		}
		account, queue, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		region := g.m.Region
		switch p := strings.Split(u.Hostname(), "."); {
		case len(p) >= 4 && p[0] == "sqs": // sqs.REGION.amazonaws.com
			region = p[1]
		case len(p) >= 4 && p[1] == "queue": // REGION.queue.amazonaws.com
			region = p[0]
		}
		if star {
			if !ok || account == "" {
				return g.here("sqs", "*")
			}
			return g.arn("sqs", region, account, queue+"*")
		}
		if !ok || queue == "" || strings.Contains(queue, "/") {
			return ""
		}
		return g.arn("sqs", region, account, queue)
	})
	g.allow(sure, iam.Grant{Name: name, Actions: []string{action}, Resources: resources})
}

func (g *generator) publish(a args) {
	topic := a.get("TopicArn")
	if topic.absent {
		topic = a.get("TargetArn")
	}
	if topic.absent {
		// A text message has no resource that could be named.
		k := a.get("PhoneNumber")
		k.field = "PhoneNumber"
		g.find("PG04", k, "*")
		g.allow(true, iam.Grant{Name: "PublishMessages", Actions: []string{"sns:Publish"}, Resources: []string{"*"}})
		return
	}
	resources, sure := g.resolve(topic, g.named("sns", "", ""))
	g.allow(sure, iam.Grant{Name: "Publish", Actions: []string{"sns:Publish"}, Resources: resources})
}

func (g *generator) table(action string, k known) {
	resources, sure := g.resolve(k, g.named("dynamodb", "table/", ""))
	g.allow(sure, iam.Grant{Name: "Table", Actions: []string{action}, Resources: resources})
}

func (g *generator) putEvents(a args) {
	entries, whole := a.items("Entries")
	put := func(k known) {
		resources, sure := g.resolve(k, g.named("events", "event-bus/", ""))
		g.allow(sure, iam.Grant{Name: "PutEvents", Actions: []string{"events:PutEvents"}, Resources: resources})
	}
	if !whole {
		k := a.get("Entries")
		k.texts, k.absent = nil, false
		put(k)
		return
	}
	for _, e := range entries {
		bus := e.get("EventBusName")
		if bus.absent {
			bus = texts("default")
		}
		put(bus)
	}
}

// http allows one endpoint through the connection that holds its credentials.
func (g *generator) http(a args) {
	cond := []value.Member{}
	sure := true
	add := func(op, key string, vs []string) {
		items := make([]value.Value, len(vs))
		for i := range vs {
			items[i] = value.String(vs[i])
		}
		v := value.Array(items...)
		if len(vs) == 1 {
			v = items[0]
		}
		cond = append(cond, value.Member{Key: op, Value: value.Object(value.Member{Key: key, Value: v})})
	}
	if m := g.values(a.get("Method")); !m.dynamic() && !m.absent {
		add("StringEquals", "states:HTTPMethod", m.texts)
	} else {
		g.find("PG01", m, "*")
	}
	endpoint := a.get("ApiEndpoint")
	vs, known := g.resolve(endpoint, func(s string) string { return s })
	add("StringLike", "states:HTTPEndpoint", vs)
	sure = sure && known
	g.allow(sure, iam.Grant{Name: "HTTPEndpoint", Actions: []string{"states:InvokeHTTPEndpoint"}, Resources: []string{g.m.ARN()}, Condition: value.Object(cond...)})
	connection := a.get("ConnectionArn")
	if in, ok := a.sub("Authentication"); ok {
		connection = in.get("ConnectionArn")
	} else if connection.absent {
		if in, ok := a.sub("InvocationConfig"); ok {
			connection = in.get("ConnectionArn")
		}
	}
	cs, known := g.resolve(connection, g.named("events", "connection/", ""))
	g.allow(known, iam.Grant{Name: "Connection", Actions: []string{"events:RetrieveConnectionCredentials"}, Resources: cs})
	// The secret is EventBridge's own; its name is known but for the end.
	var secrets []string
	for _, c := range cs {
		p := strings.SplitN(c, ":", 6)
		name := strings.TrimPrefix(p[5], "connection/")
		if i := strings.IndexByte(name, '/'); i >= 0 {
			name = name[:i]
		}
		secrets = append(secrets, strings.Join([]string{p[0], p[1], "secretsmanager", p[3], p[4], "secret:events!connection/" + strings.TrimSuffix(name, "*")}, ":"))
	}
	for i, s := range secrets {
		if strings.HasSuffix(s, "/") {
			secrets[i] = s + "*"
		} else {
			secrets[i] = s + "/*"
		}
	}
	g.allow(known, iam.Grant{Name: "ConnectionSecret", Actions: []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}, Resources: secrets})
}

// apiGateway allows one method of an API: API/STAGE/METHOD/PATH.
func (g *generator) apiGateway(a args) {
	part := func(name, absent string) ([]string, bool) {
		k := a.get(name)
		if k.absent {
			return []string{absent}, true
		}
		return g.resolve(k, func(s string) string { return s })
	}
	hosts, ok1 := g.resolve(a.get("ApiEndpoint"), func(s string) string {
		id, _, _ := strings.Cut(strings.TrimPrefix(s, "https://"), ".")
		return strings.TrimSuffix(id, "*")
	})
	stages, ok2 := part("Stage", "$default")
	methods, ok3 := part("Method", "*")
	paths, ok4 := part("Path", "")
	var rs []string
	for _, h := range hosts {
		if h == "" {
			h = "*"
		}
		for _, s := range stages {
			if s == "$default" {
				s = iam.Literal(s)
			}
			for _, m := range methods {
				for _, p := range paths {
					rs = append(rs, g.here("execute-api", h+"/"+s+"/"+m+"/"+strings.TrimPrefix(p, "/")))
				}
			}
		}
	}
	g.allow(ok1 && ok2 && ok3 && ok4, iam.Grant{Name: "InvokeAPI", Actions: []string{"execute-api:Invoke"}, Resources: rs})
}

// runTask allows a task definition, and handing its roles to ECS. Which those
// are is known only if the call overrides them.
func (g *generator) runTask(a args, sync bool) {
	k := a.get("TaskDefinition")
	resources, sure := g.resolve(k, func(s string) string {
		r := g.named("ecs", "task-definition/", "")(s)
		if i := strings.LastIndexByte(r, '/'); r != "" && !strings.Contains(r[i+1:], ":") && !strings.HasSuffix(r, "*") {
			r += ":*" // a family: its newest revision
		}
		return r
	})
	g.allow(sure, iam.Grant{Name: "RunTask", Actions: []string{"ecs:RunTask"}, Resources: resources})

	over, _ := a.sub("Overrides")
	roles, known := []string{}, true
	for _, field := range []string{"TaskRoleArn", "ExecutionRoleArn"} {
		k := over.get(field)
		if over.v.IsUndefined() && over.all == "" {
			k = missing(field)
		}
		if k.absent {
			known = false
			continue
		}
		rs, sure := g.resolve(k, func(s string) string {
			if s == "*" {
				return g.arn("iam", "", g.m.Account, "role/*")
			}
			return s
		})
		known = known && sure
		roles = append(roles, rs...)
	}
	if !known {
		role := g.arn("iam", "", g.m.Account, "role/*")
		g.find("PG09", k, role)
		roles = []string{role}
	}
	g.allow(known, iam.Grant{Name: "PassTaskRoles", Actions: []string{"iam:PassRole"}, Resources: roles, Condition: one("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com")})

	tasks := g.here("ecs", "task/*")
	if c := g.values(a.get("Cluster")); !c.dynamic() && !c.absent && len(c.texts) == 1 {
		name := c.texts[0]
		tasks = g.here("ecs", "task/"+iam.Literal(name[strings.LastIndexByte(name, '/')+1:])+"/*")
	}
	if a.has("Tags") || a.has("PropagateTags") {
		g.allow(true, iam.Grant{Name: "TagTasks", Actions: []string{"ecs:TagResource"}, Resources: []string{tasks}, Condition: one("StringEquals", "ecs:CreateAction", "RunTask")})
	}
	if sync {
		g.need(true, true, nil, iam.Grant{Name: "Tasks", Actions: []string{"ecs:StopTask", "ecs:DescribeTasks"}, Resources: []string{tasks}})
		g.rule("StepFunctionsGetEventsForECSTaskRule")
	}
}

// missing is a field that is not there.
func missing(field string) known { return known{absent: true, field: field} }

// athena allows where results go; what a query reads is not in the definition.
func (g *generator) athena(a args) {
	g.find("PG13", a.get("QueryString"), "s3:GetObject, glue:GetTable, glue:GetPartitions", "QueryString")
	conf, _ := a.sub("ResultConfiguration")
	if conf.v.IsUndefined() && conf.all == "" {
		return // the workgroup says where
	}
	buckets, keys, sure := g.s3URI(conf.get("OutputLocation"), true)
	if buckets == nil {
		return
	}
	g.allow(sure, iam.Grant{Name: "QueryResultsBucket", Actions: []string{"s3:GetBucketLocation", "s3:ListBucket"}, Resources: buckets})
	g.allow(sure, iam.Grant{Name: "QueryResults", Actions: []string{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}, Resources: keys})
}

// s3URI is the bucket and the object of s3://BUCKET/KEY; under: what is under KEY.
func (g *generator) s3URI(k known, under bool) (buckets, objects []string, sure bool) {
	if k.absent {
		return nil, nil, true
	}
	objects, sure = g.resolve(k, func(s string) string {
		if s == "*" {
			return g.arn("s3", "", "", "*/*")
		}
		rest, ok := strings.CutPrefix(s, "s3://")
		if !ok {
			return ""
		}
		bucket, key, slash := strings.Cut(rest, "/")
		switch {
		case !slash:
			return g.arn("s3", "", "", bucket+"/*")
		case under && !strings.HasSuffix(key, "*"):
			if key != "" && !strings.HasSuffix(key, "/") {
				key += "/"
			}
			key += "*"
		}
		return g.arn("s3", "", "", bucket+"/"+key)
	})
	for _, o := range objects {
		bucket, _, _ := strings.Cut(o, "/")
		if !slices.Contains(buckets, bucket) {
			buckets = append(buckets, bucket)
		}
	}
	return buckets, objects, sure
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
