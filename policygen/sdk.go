package policygen

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"tokaido/iam"
)

//go:generate go run gen.go

//go:embed actions.txt
var actionsText string

// more are actions of services that the reference at hand does not hold, in
// its form; those that workflows call most.
//
//go:embed more.txt
var moreText string

// authz is what is known of actions.
type authz struct {
	services   map[string]bool
	types      map[string]string   // "service type" to ARN
	actions    map[string][]string // "service:Action" to types
	operations map[string][]string // "client:Operation" to actions
}

var reference = sync.OnceValue(func() *authz {
	r := &authz{map[string]bool{}, map[string]string{}, map[string][]string{}, map[string][]string{}}
	for line := range strings.Lines(actionsText + moreText) {
		switch f := strings.Fields(line); {
		case len(f) == 0 || f[0] == "#":
		case f[0] == "type" && len(f) == 4:
			r.types[f[1]+" "+f[2]] = f[3]
		case f[0] == "action" && len(f) >= 3:
			r.services[f[1]] = true
			r.actions[f[1]+":"+f[2]] = f[3:]
		case f[0] == "operation" && len(f) >= 3:
			r.operations[f[1]] = f[2:]
		}
	}
	return r
})

// prefixes are the services whose actions do not begin with the name that the
// SDK gives its client.
var prefixes = map[string]string{
	"sfn": "states", "cloudwatchlogs": "logs", "eventbridge": "events", "bedrockruntime": "bedrock", "bedrockagent": "bedrock", "bedrockagentruntime": "bedrock",
	"emr": "elasticmapreduce", "emrcontainers": "emr-containers", "emrserverless": "emr-serverless", "sesv2": "ses", "apigatewayv2": "apigateway",
	"elasticloadbalancingv2": "elasticloadbalancing", "costexplorer": "ce", "ssoadmin": "sso", "cognitoidentityprovider": "cognito-idp",
	"cognitoidentity": "cognito-identity", "databasemigration": "dms", "efs": "elasticfilesystem", "opensearch": "es", "elasticsearch": "es",
	"rdsdata": "rds-data", "redshiftdata": "redshift-data", "redshiftserverless": "redshift-serverless", "applicationautoscaling": "application-autoscaling",
	"kinesisanalyticsv2": "kinesisanalytics", "resourcegroupstaggingapi": "tag", "sagemakerruntime": "sagemaker", "sagemakerfeaturestoreruntime": "sagemaker",
	"lexruntimev2": "lex", "lexmodelsv2": "lex", "lexruntime": "lex", "servicediscovery": "servicediscovery", "timestreamwrite": "timestream", "timestreamquery": "timestream",
	"neptunedata": "neptune-db", "iotdataplane": "iot", "codestarconnections": "codestar-connections", "ecrpublic": "ecr-public", "ssmincidents": "ssm-incidents",
	"accessanalyzer": "access-analyzer", "acmpca": "acm-pca", "mediapackagevod": "mediapackage-vod", "personalizeruntime": "personalize", "personalizeevents": "personalize",
	"resourcegroups": "resource-groups", "resourceexplorer2": "resource-explorer-2", "wafregional": "waf-regional", "iotjobsdataplane": "iotjobsdata",
	"docdb": "rds", "neptune": "rds", "s3control": "s3", "dynamodbstreams": "dynamodb", "kinesisvideomedia": "kinesisvideo", "applicationinsights": "applicationinsights",
	"bedrockagentcore": "bedrock-agentcore", "bedrockagentcorecontrol": "bedrock-agentcore", "opensearchserverless": "aoss", "verifiedpermissions": "verifiedpermissions",
}

// sources are arguments that say what a placeholder of an ARN stands for, where
// they are not called as it is.
var sources = map[string][]string{
	"BucketName": {"Bucket"}, "ObjectName": {"Key"}, "QueueName": {"QueueUrl"}, "TopicName": {"TopicArn", "TargetArn", "Name"},
	"StateMachineName": {"StateMachineArn", "Name"}, "ActivityName": {"ActivityArn", "Name"}, "LogGroupName": {"LogGroupName", "LogGroupIdentifier"},
	"RuleName": {"Rule", "Name"}, "GuardrailId": {"GuardrailIdentifier"}, "FlowId": {"FlowIdentifier"}, "PromptId": {"PromptIdentifier"},
	"FlowAliasId": {"FlowAliasIdentifier"}, "RoleNameWithPath": {"RoleName", "RoleArn"}, "UserNameWithPath": {"UserName"}, "GroupNameWithPath": {"GroupName"},
	"PolicyNameWithPath": {"PolicyArn"}, "TrailName": {"TrailName", "Name"}, "EventBusName": {"EventBusName"}, "KeyId": {"KeyId"},
	"MapRunLabel": {"MapRunArn"}, "SecretId": {"SecretId"}, "StreamName": {"StreamName", "StreamARN"}, "DeliveryStreamName": {"DeliveryStreamName"},
	"ParameterName": {"Name"}, "JobName": {"JobName", "Name"}, "ScheduleName": {"Name"}, "ProjectName": {"ProjectName"},
}

// sdk is arn:aws:states:::aws-sdk:SERVICE:OPERATION.
func (g *generator) sdk(client, operation string, a args) {
	service := client
	if p, ok := prefixes[client]; ok {
		service = p
	}
	op := upper(operation)
	switch client + ":" + operation {
	case "lambda:invoke":
		g.lambda(a.get("FunctionName"), a.get("Qualifier"))
		return
	case "sfn:startExecution", "sfn:startSyncExecution":
		g.startExecution(a.get("StateMachineArn"), "states:"+op, false)
		return
	case "sns:publish":
		g.publish(a)
		return
	case "eventbridge:putEvents":
		g.putEvents(a)
		return
	case "ecs:runTask":
		g.runTask(a, false)
		return
	case "sts:getCallerIdentity":
		return // allowed whatever policies say
	case "s3:copyObject":
		g.copyObject(a)
		return
	case "s3:listObjectsV2", "s3:listObjects":
		g.list("S3ListBucket", a.get("Bucket"), a.get("Prefix"))
		return
	case "dynamodb:transactWriteItems", "dynamodb:transactGetItems", "dynamodb:batchGetItem", "dynamodb:batchWriteItem":
		g.tables(op, a)
		return
	}
	if service == "sqs" && a.has("QueueUrl") {
		action := "sqs:" + op
		if as := reference().operations["sqs:"+op]; as != nil {
			action = as[0]
		}
		g.queue(name(client, op), action, a.get("QueueUrl"))
		return
	}
	if client == "bedrockruntime" && g.runtime(operation, a) {
		return
	}
	if in, ok := integrations[service+":"+operation]; ok {
		// The same call as the optimized integration makes.
		g.integration(in, a, false)
		return
	}
	key := service
	if client == "bedrockruntime" {
		key = "bedrock-runtime"
	}
	actions := reference().operations[key+":"+op]
	if actions == nil {
		actions = []string{service + ":" + op}
	}
	for _, action := range actions {
		if action == "iam:PassRole" {
			continue
		}
		types, ok := reference().actions[action]
		resources, sure := g.argumentARNs(a, service), true
		switch {
		case ok && len(types) == 0:
			resources = []string{"*"}
		case ok:
			resources, sure = g.typed(service, types, a)
		case len(resources) == 0:
			resources, sure = []string{"*"}, false
			g.find("PG11", known{field: "Resource", source: "aws-sdk:" + client + ":" + operation}, action+" (*)")
		default:
			g.find("PG11", known{field: "Resource", source: "aws-sdk:" + client + ":" + operation}, action+" ("+strings.Join(resources, ", ")+")")
		}
		g.allow(sure, iam.Grant{Name: name(client, op), Actions: []string{action}, Resources: resources})
	}
	g.roles(service, op, a)
}

// name of a statement: letters and digits.
func name(service, op string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, upper(service)+op)
}

// roles are those that a call hands to the service.
func (g *generator) roles(service, op string, a args) {
	if service == "sts" || service == "iam" {
		return
	}
	for _, verb := range []string{"Create", "Update", "Put", "Start", "Run", "Register", "Test"} {
		if !strings.HasPrefix(op, verb) {
			continue
		}
		for _, field := range []string{"RoleArn", "Role", "ExecutionRoleArn", "ServiceRole", "TaskRoleArn"} {
			if k := a.get(field); a.all == "" && !k.absent {
				g.pass(k, service+".amazonaws.com")
			}
		}
		return
	}
}

// argumentARNs are the ARNs of the service among constant arguments.
func (g *generator) argumentARNs(a args, service string) (out []string) {
	for _, n := range a.names() {
		for _, t := range g.values(a.get(n)).texts {
			if p := strings.SplitN(t, ":", 6); len(p) == 6 && p[0] == "arn" && p[2] == service {
				out = append(out, iam.Literal(t))
			}
		}
	}
	return out
}

// typed makes the ARNs of the resource type that the arguments say most of.
func (g *generator) typed(service string, types []string, a args) ([]string, bool) {
	type choice struct {
		resources     []string
		sure          bool
		filled, holes int
		fields        []known
	}
	var best *choice
	for _, t := range types {
		pattern, ok := reference().types[service+" "+t]
		if !ok {
			continue
		}
		c := choice{sure: true}
		c.resources, c.filled, c.holes, c.fields = g.pattern(service, pattern, a)
		if best == nil || c.holes < best.holes || c.holes == best.holes && c.filled > best.filled {
			best = &c
		}
	}
	if best == nil {
		return []string{"*"}, true
	}
	if service == "logs" && strings.Contains(best.resources[0], ":log-group:") && !strings.Contains(best.resources[0], ":log-stream:") {
		for _, r := range best.resources { // some actions name the group with what is in it
			best.resources = append(best.resources, r+":*")
		}
	}
	sure := best.holes == 0
	for _, k := range best.fields {
		if k.dynamic() {
			sure = false
			id := "PG01"
			if k.prefix != "" {
				id = "PG02"
			}
			g.find(id, k, strings.Join(best.resources, ", "))
		}
	}
	return best.resources, sure
}

// pattern fills an ARN pattern from arguments: how many placeholders they say
// something of, and how many nothing.
func (g *generator) pattern(service, pattern string, a args) (resources []string, filled, holes int, fields []known) {
	pattern = strings.NewReplacer("${Partition}", g.partition, "${Region}", g.m.Region, "${Account}", g.m.Account).Replace(pattern)
	parts := strings.SplitN(pattern, ":", 6)
	kind := parts[5]
	if i := strings.IndexAny(kind, "/:$"); i > 0 {
		kind = kind[:i]
	}
	// An argument that is the whole ARN says it all.
	for _, t := range g.argumentARNs(a, service) {
		p := strings.SplitN(t, ":", 6)
		if strings.Count(pattern, "${") > 0 && (kind == "" || strings.HasPrefix(kind, "$") || strings.HasPrefix(p[5], kind+"/") || strings.HasPrefix(p[5], kind+":")) &&
			strings.Count(p[5], ":")+strings.Count(p[5], "/") >= strings.Count(parts[5], ":")+strings.Count(parts[5], "/") {
			resources = append(resources, t)
		}
	}
	if resources != nil {
		return resources, strings.Count(pattern, "${"), 0, nil
	}
	resources = []string{""}
	for pattern != "" {
		before, rest, ok := strings.Cut(pattern, "${")
		for i := range resources {
			resources[i] += before
		}
		if !ok {
			break
		}
		placeholder, after, _ := strings.Cut(rest, "}")
		pattern = after
		k := g.source(placeholder, a)
		k = g.values(k)
		vs := []string{"*"}
		switch {
		case k.absent:
			holes++
		case k.dynamic():
			filled++
			fields = append(fields, k)
			if k.prefix != "" && !strings.HasPrefix(k.prefix, "arn:") && !strings.Contains(k.prefix, "://") {
				vs[0] = iam.Literal(k.prefix) + "*"
			}
		default:
			filled++
			fields = append(fields, k)
			vs = nil
			for _, t := range k.texts {
				// What stands for a name may be an ARN or a URL that ends in it.
				if strings.HasPrefix(t, "arn:") || strings.Contains(t, "://") {
					t = t[strings.LastIndexAny(t, ":/")+1:]
				}
				if placeholder == "ParameterName" { // the slash is in the pattern
					t = strings.TrimPrefix(t, "/")
				}
				vs = append(vs, iam.Literal(t))
			}
		}
		var next []string
		for _, r := range resources {
			for _, v := range vs {
				next = append(next, r+v)
			}
		}
		resources = next
	}
	slices.Sort(resources)
	return slices.Compact(resources), filled, holes, fields
}

// source is the argument that a placeholder stands for.
func (g *generator) source(placeholder string, a args) known {
	if a.all != "" {
		return a.get(placeholder)
	}
	for _, n := range append([]string{placeholder}, sources[placeholder]...) {
		if k := a.get(n); !k.absent {
			return k
		}
	}
	for _, n := range a.names() {
		if strings.EqualFold(n, placeholder) {
			return a.get(n)
		}
	}
	return known{absent: true, field: placeholder}
}

// copyObject reads one object and writes another.
func (g *generator) copyObject(a args) {
	g.objects("S3CopyObject", []string{"s3:PutObject"}, a.get("Bucket"), a.get("Key"), false)
	from, sure := g.resolve(a.get("CopySource"), func(s string) string {
		if strings.HasPrefix(s, "arn:") {
			return s
		}
		if s == "*" {
			return g.arn("s3", "", "", "*/*")
		}
		return g.arn("s3", "", "", strings.TrimPrefix(s, "/"))
	})
	g.allow(sure, iam.Grant{Name: "S3CopySource", Actions: []string{"s3:GetObject"}, Resources: from})
}

// tables are calls about items of several tables.
func (g *generator) tables(op string, a args) {
	add := func(action string, k known) {
		resources, sure := g.resolve(k, g.named("dynamodb", "table/", ""))
		g.allow(sure, iam.Grant{Name: "Tables", Actions: []string{action}, Resources: resources})
	}
	if strings.HasPrefix(op, "Batch") {
		in, ok := a.sub("RequestItems")
		if !ok || in.all != "" {
			k := a.get("RequestItems")
			k.texts, k.absent = nil, false
			add("dynamodb:"+op, k)
			return
		}
		for n := range in.v.Members() {
			add("dynamodb:"+op, texts(n))
		}
		return
	}
	items, whole := a.items("TransactItems")
	if !whole {
		k := a.get("TransactItems")
		k.texts, k.absent = nil, false
		for _, action := range reference().operations["dynamodb:"+op] {
			add(action, k)
		}
		return
	}
	for _, it := range items {
		for _, member := range []string{"Put", "Update", "Delete", "ConditionCheck", "Get"} {
			if in, ok := it.sub(member); ok {
				add("dynamodb:"+member+"Item", in.get("TableName"))
			}
		}
	}
}
