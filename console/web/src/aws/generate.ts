// The one operation that AWS's SDK does not know: the least role of a definition. It is asked for
// as the SDK asks for others, with a shape of our own.
import { LoggingConfiguration$, TracingConfiguration$, ValidateStateMachineDefinitionCommand, type LoggingConfiguration, type SFNClient } from "@aws-sdk/client-sfn";

export type GenerateInput = { definition: string; name: string; type?: string; loggingConfiguration?: LoggingConfiguration; tracingConfiguration?: { enabled: boolean }; language?: string };
export type GenerateFinding = { id?: string; severity?: string; location?: string; message?: string };
export type GenerateOutput = { roleName?: string; trustPolicy?: string; policy?: string; managedPolicies?: string[]; findings?: GenerateFinding[]; targets?: { roleArn?: string; policy?: string }[] };

const ns = "com.amazonaws.sfn";
const name = "GenerateStateMachineRolePolicy";
const text = 0;
const texts = 64;
const structure = (n: string, members: string[], shapes: unknown[]) => [3, ns, n, 0, members, shapes];
const list = (n: string, of: unknown) => [1, ns, n, 0, () => of];
const operation = [
  9,
  ns,
  name,
  0,
  () => structure(name + "Input", ["definition", "name", "type", "loggingConfiguration", "tracingConfiguration", "language"], [text, text, text, () => LoggingConfiguration$, () => TracingConfiguration$, text]),
  () =>
    structure(
      name + "Output",
      ["roleName", "trustPolicy", "policy", "managedPolicies", "findings", "targets"],
      [text, text, text, texts, () => list("Findings", structure("Finding", ["id", "severity", "location", "message"], [text, text, text, text])), () => list("Targets", structure("Target", ["roleArn", "policy"], [text, text]))],
    ),
];

class Command extends (ValidateStateMachineDefinitionCommand as any) {
  constructor(input: GenerateInput) {
    super(input);
    (this as any).schema = operation;
  }
  resolveMiddlewareWithContext(stack: unknown, configuration: unknown, options: unknown, c: any) {
    const context = { ...c, commandName: name, smithyContext: { ...c.smithyContext, operation: name, operationSchema: operation } };
    return super.resolveMiddlewareWithContext(stack, configuration, options, context);
  }
}

export const generate = (c: SFNClient, input: GenerateInput): Promise<GenerateOutput> => c.send(new Command(input) as never) as Promise<GenerateOutput>;
