// What the large pages ask for first.
import { sfn } from "./clients";
import { early, taken } from "./early";

async function describe(arn: string, abortSignal?: AbortSignal) {
  const { m, c } = await sfn();
  return c.send(new m.DescribeStateMachineCommand({ stateMachineArn: arn }), { abortSignal });
}
async function execution(executionArn: string, abortSignal?: AbortSignal) {
  const { m, c } = await sfn();
  return c.send(new m.DescribeExecutionCommand({ executionArn }), { abortSignal });
}
async function definition(executionArn: string, abortSignal?: AbortSignal) {
  const { m, c } = await sfn();
  return c.send(new m.DescribeStateMachineForExecutionCommand({ executionArn }), { abortSignal });
}

export const machineOf = (arn: string, signal: AbortSignal) => taken("machine " + arn, () => describe(arn, signal));
export const executionOf = (arn: string, signal: AbortSignal) => taken("execution " + arn, () => execution(arn, signal));
export const definitionOf = (arn: string, signal: AbortSignal) => taken("definition " + arn, () => definition(arn, signal));

export const aheadOfMachine = (arn: string) => early("machine " + arn, () => describe(arn));
export function aheadOfExecution(arn: string) {
  early("execution " + arn, () => execution(arn));
  early("definition " + arn, () => definition(arn));
}
