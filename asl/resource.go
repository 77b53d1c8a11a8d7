package asl

import (
	"strings"

	"tokaido/arn"
)

// integration is an optimized integration: for each action the patterns that it
// has besides request and response.
type integration map[string]patterns

type patterns uint8

const (
	plainCall patterns = 0
	withSync  patterns = 1 << iota
	withSync2
	withToken
)

// optimized are the services that Step Functions integrates with by hand.
var optimized = map[string]integration{
	"lambda":       {"invoke": withToken},
	"dynamodb":     {"getItem": plainCall, "putItem": plainCall, "updateItem": plainCall, "deleteItem": plainCall},
	"sqs":          {"sendMessage": withToken},
	"sns":          {"publish": withToken},
	"events":       {"putEvents": withToken},
	"states":       {"startExecution": withSync | withSync2 | withToken},
	"apigateway":   {"invoke": withToken},
	"http":         {"invoke": plainCall},
	"batch":        {"submitJob": withSync},
	"ecs":          {"runTask": withSync | withToken},
	"glue":         {"startJobRun": withSync},
	"databrew":     {"startJobRun": withSync},
	"mediaconvert": {"createJob": withSync},
	"bedrock":      {"invokeModel": withToken, "createModelCustomizationJob": withSync},
	"eks": {
		"createCluster": withSync, "deleteCluster": withSync, "createNodegroup": withSync, "deleteNodegroup": withSync,
		"createFargateProfile": withSync, "deleteFargateProfile": withSync, "runJob": withSync | withToken, "call": withToken,
	},
	"elasticmapreduce": {
		"createCluster": withSync, "terminateCluster": withSync, "addStep": withSync, "cancelStep": plainCall,
		"setClusterTerminationProtection": plainCall, "modifyInstanceFleetByName": plainCall, "modifyInstanceGroupByName": plainCall,
	},
	"emr-containers": {"createVirtualCluster": plainCall, "deleteVirtualCluster": withSync, "startJobRun": withSync},
	"emr-serverless": {
		"createApplication": withSync, "startApplication": withSync, "stopApplication": withSync, "deleteApplication": withSync,
		"startJobRun": withSync, "cancelJobRun": withSync,
	},
	"athena": {
		"startQueryExecution": withSync, "stopQueryExecution": plainCall, "getQueryExecution": plainCall, "getQueryResults": plainCall,
	},
	"codebuild": {
		"startBuild": withSync, "stopBuild": plainCall, "batchDeleteBuilds": plainCall, "batchGetReports": plainCall,
		"startBuildBatch": withSync, "stopBuildBatch": plainCall, "retryBuildBatch": withSync, "deleteBuildBatch": plainCall,
	},
	"sagemaker": {
		"createEndpoint": plainCall, "createEndpointConfig": plainCall, "createHyperParameterTuningJob": withSync, "createLabelingJob": withSync,
		"createModel": plainCall, "createProcessingJob": withSync, "createTrainingJob": withSync, "createTransformJob": withSync,
		"updateEndpoint": plainCall,
	},
}

// required are the parameters without which an optimized integration cannot be
// called, as far as AWS checks them in a definition.
var required = map[string][]string{
	"lambda:invoke":              {"FunctionName"},
	"sqs:sendMessage":            {"QueueUrl", "MessageBody"},
	"sns:publish":                {"Message"},
	"dynamodb:getItem":           {"TableName", "Key"},
	"dynamodb:putItem":           {"TableName", "Item"},
	"dynamodb:updateItem":        {"TableName", "Key"},
	"dynamodb:deleteItem":        {"TableName", "Key"},
	"states:startExecution":      {"StateMachineArn"},
	"events:putEvents":           {"Entries"},
	"ecs:runTask":                {"TaskDefinition"},
	"glue:startJobRun":           {"JobName"},
	"databrew:startJobRun":       {"Name"},
	"batch:submitJob":            {"JobName", "JobDefinition", "JobQueue"},
	"bedrock:invokeModel":        {"ModelId"},
	"apigateway:invoke":          {"ApiEndpoint", "Method"},
	"http:invoke":                {"ApiEndpoint", "Method"},
	"athena:startQueryExecution": {"QueryString"},
	"codebuild:startBuild":       {"ProjectName"},
}

// sdkServices are the services that aws-sdk integrations reach, by the name of
// their client without punctuation.
var sdkServices = words(`
accessanalyzer account acm acmpca aiops alexaforbusiness amp amplify amplifybackend amplifyuibuilder apigateway apigatewayv2 appconfig
appconfigdata appfabric appflow appintegrations applicationautoscaling applicationcostprofiler applicationdiscovery applicationinsights
applicationsignals appmesh apprunner appstream appsync apptest arczonalshift artifact athena auditmanager autoscalingplans b2bi backup
backupgateway backupsearch batch bcmdataexports bedrock bedrockagent bedrockagentcore bedrockagentcorecontrol bedrockagentruntime
bedrockdataautomation bedrockdataautomationruntime bedrockruntime billing billingconductor braket budgets chatbot chime chimesdkidentity
chimesdkmediapipelines chimesdkmeetings chimesdkmessaging chimesdkvoice cleanrooms cleanroomsml cloud9 cloudcontrol clouddirectory
cloudformation cloudfront cloudfrontkeyvaluestore cloudhsm cloudhsmv2 cloudsearch cloudsearchdomain cloudtrail cloudtraildata cloudwatch
cloudwatchlogs codeartifact codebuild codecatalyst codecommit codeconnections codedeploy codeguruprofiler codegurureviewer codegurusecurity
codepipeline codestar codestarconnections codestarnotifications cognitoidentity cognitoidentityprovider cognitosync comprehend
comprehendmedical computeoptimizer config connect connectcampaigns connectcampaignsv2 connectcases connectcontactlens connectparticipant
controlcatalog controltower costandusagereport costexplorer costoptimizationhub databasemigration databrew dataexchange datapipeline
datasync datazone dax deadline detective devicefarm devopsguru directconnect directory directoryservicedata dlm docdb docdbelastic drs dsql
dynamodb dynamodbstreams ebs ec2 ec2instanceconnect ecr ecrpublic ecs efs eks eksauth elasticache elasticbeanstalk elasticinference
elasticloadbalancing elasticloadbalancingv2 elasticsearch elastictranscoder emr emrcontainers emrserverless entityresolution eventbridge
evidently evs finspace finspacedata firehose fis fms forecast forecastquery frauddetector freetier fsx gamelift geomaps geoplaces georoutes
glacier glue grafana greengrass greengrassv2 groundstation guardduty healthlake honeycode iam identitystore imagebuilder inspector
inspector2 inspectorscan internetmonitor invoicing iot iot1clickprojects iotanalytics iotdeviceadvisor iotevents ioteventsdata iotfleethub
iotfleetwise iotjobsdataplane iotmanagedintegrations iotsecuretunneling iotsitewise iotthingsgraph iottwinmaker iotwireless ivs ivschat
ivsrealtime kafka kafkaconnect kendra kendraranking keyspaces keyspacesstreams kinesis kinesisanalytics kinesisanalyticsv2 kinesisvideo
kinesisvideoarchivedmedia kinesisvideomedia kinesisvideosignaling kinesisvideowebrtcstorage kms lakeformation lambda launchwizard
lexmodelbuilding lexmodelsv2 lexruntime lexruntimev2 licensemanager licensemanagerlinuxsubscriptions licensemanagerusersubscriptions
lightsail location lookoutequipment lookoutmetrics lookoutvision m2 macie2 mailmanager managedblockchain managedblockchainquery
marketplaceagreement marketplacecatalog marketplacecommerceanalytics marketplacedeployment marketplaceentitlement marketplacemetering
marketplacereporting mediaconnect medialive mediapackage mediapackagev2 mediapackagevod mediastore mediatailor medicalimaging memorydb
migrationhub migrationhubconfig migrationhuborchestrator migrationhubrefactorspaces migrationhubstrategy mpa mq mturk mwaa neptune
neptunedata neptunegraph networkfirewall networkflowmonitor networkmanager networkmonitor nimble notifications notificationscontacts oam
observabilityadmin odb omics opensearch opensearchserverless opsworks opsworkscm organizations osis outposts panorama partnercentralselling
paymentcryptography paymentcryptographydata pcaconnectorad pcaconnectorscep pcs personalize personalizeevents personalizeruntime pi pinpoint
pinpointemail pinpointsmsvoice pinpointsmsvoicev2 pipes polly pricing privatenetworks proton qapps qbusiness qconnect qldb qldbsession
quicksight ram rbin rds rdsdata redshift redshiftdata redshiftserverless rekognition repostspace resiliencehub resourceexplorer2
resourcegroups resourcegroupstaggingapi robomaker rolesanywhere route53 route53domains route53profiles route53recoverycluster
route53recoverycontrolconfig route53recoveryreadiness route53resolver rum s3 s3control s3outposts s3tables s3vectors sagemaker
sagemakera2iruntime sagemakeredge sagemakerfeaturestoreruntime sagemakergeospatial sagemakermetrics sagemakerruntime savingsplans scheduler
schemas secretsmanager securityhub securityir securitylake serverlessapplicationrepository servicecatalog servicecatalogappregistry
servicediscovery servicequotas ses sesv2 sfn shield signer simspaceweaver sms snowball snowdevicemanagement sns socialmessaging sqs ssm
ssmcontacts ssmguiconnect ssmincidents ssmquicksetup ssmsap sso ssoadmin ssooidc storagegateway sts supplychain support supportapp swf
synthetics taxsettings textract timestreaminfluxdb timestreamquery timestreamwrite tnb transcribe transfer translate trustedadvisor
verifiedpermissions voiceid vpclattice waf wafregional wafv2 wellarchitected wisdom workdocs workmail workmailmessageflow workspaces
workspacesinstances workspacesthinclient workspacesweb xray`)

// sdkExcluded are operations that no aws-sdk integration has: those that stream,
// and those AWS names.
var sdkExcluded = words(`
kinesis:subscribeToShard lambda:invokeAsync lambda:invokeWithResponseStream lexruntimev2:startConversation s3:selectObjectContent rds:executeSql
efs:createTags elastictranscoder:testRole emr:describeJobFlows iotdeviceadvisor:listTestCases mediapackage:rotateChannelCredentials
shield:deleteSubscription comprehendmedical:detectEntities bedrockruntime:invokeModelWithResponseStream bedrockruntime:converseStream
bedrockruntime:invokeModelWithBidirectionalStream bedrockagentruntime:invokeAgent bedrockagentruntime:invokeInlineAgent bedrockagentruntime:invokeFlow
bedrockagentruntime:retrieveAndGenerateStream bedrockagentruntime:optimizePrompt sagemakerruntime:invokeEndpointWithResponseStream
cloudwatchlogs:startLiveTail`)

func words(s string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// resourceProblem says what is wrong with a Task's Resource.
type resourceProblem uint8

const (
	resourceOK resourceProblem = iota
	notAnARN
	notRecognized
)

// parseResource takes a Task's Resource apart.
func parseResource(s string) (TaskPart, resourceProblem) {
	part := TaskPart{Resource: s}
	a, err := arn.Parse(s)
	if err != nil {
		return part, notAnARN
	}
	switch a.Service {
	case "lambda":
		if kind, name := a.Split(); kind == "function" && name != "" && strings.Count(name, ":") <= 1 {
			part.Kind, part.Service = LambdaTask, "lambda"
			return part, resourceOK
		}
		return part, notRecognized
	case "states":
	default:
		return part, notRecognized
	}
	if name, ok := strings.CutPrefix(a.Resource, "activity:"); ok && name != "" && a.Region != "" && a.Account != "" {
		part.Kind, part.Service = ActivityTask, "activity"
		return part, resourceOK
	}
	service, action, ok := cutLast(a.Resource)
	if !ok {
		return part, notRecognized
	}
	if strings.HasPrefix(action, "2") && strings.HasSuffix(service, ".sync") { // startExecution.sync:2 has a colon of its own
		rest, call, ok := cutLast(service)
		if !ok || action != "2" {
			return part, notRecognized
		}
		service, action = rest, strings.TrimSuffix(call, ".sync")
		part.Pattern = Sync2
	} else if name, ok := strings.CutSuffix(action, ".sync"); ok {
		action, part.Pattern = name, Sync
	} else if name, ok := strings.CutSuffix(action, ".waitForTaskToken"); ok {
		action, part.Pattern = name, WaitForTaskToken
	}
	part.Service, part.Action = service, action
	if sdk, ok := strings.CutPrefix(service, "aws-sdk:"); ok {
		known := sdkServices[sdk] && camel(action) && !sdkExcluded[sdk+":"+action]
		if !known || part.Pattern == Sync || part.Pattern == Sync2 {
			return part, notRecognized
		}
		return part, resourceOK
	}
	has, ok := optimized[service][action]
	if !ok || !has.allow(part.Pattern) {
		return part, notRecognized
	}
	return part, resourceOK
}

func (p patterns) allow(x Pattern) bool {
	switch x {
	case Sync:
		return p&withSync != 0
	case Sync2:
		return p&withSync2 != 0
	case WaitForTaskToken:
		return p&withToken != 0
	}
	return true
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// camel reports whether s has the form of an operation's name: letters and
// digits, the first one small.
func camel(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c|32 < 'a' || c|32 > 'z') {
			return false
		}
	}
	return true
}
