export { BedrockRuntimeClient as Client, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
export { FetchHttpHandler } from "@smithy/fetch-http-handler";
