// The one operation that AWS's SDK does not know: the least role of a definition.
import { LoggingConfiguration$, TracingConfiguration$, ValidateStateMachineDefinitionCommand, type LoggingConfiguration, type SFNClient } from "@aws-sdk/client-sfn";
import { list, shaped, structure, text, texts } from "./shapes";

export type GenerateInput = { definition: string; name: string; type?: string; loggingConfiguration?: LoggingConfiguration; tracingConfiguration?: { enabled: boolean }; language?: string };
export type GenerateFinding = { id?: string; severity?: string; location?: string; message?: string };
export type GenerateOutput = { roleName?: string; trustPolicy?: string; policy?: string; managedPolicies?: string[]; findings?: GenerateFinding[]; targets?: { roleArn?: string; policy?: string }[] };

const name = "GenerateStateMachineRolePolicy";
const Command = shaped(
  ValidateStateMachineDefinitionCommand,
  name,
  () => structure(name + "Input", ["definition", "name", "type", "loggingConfiguration", "tracingConfiguration", "language"], [text, text, text, () => LoggingConfiguration$, () => TracingConfiguration$, text]),
  () =>
    structure(
      name + "Output",
      ["roleName", "trustPolicy", "policy", "managedPolicies", "findings", "targets"],
      [text, text, text, texts, () => list("Findings", structure("Finding", ["id", "severity", "location", "message"], [text, text, text, text])), () => list("Targets", structure("Target", ["roleArn", "policy"], [text, text]))],
    ),
);

export const generate = (c: SFNClient, input: GenerateInput): Promise<GenerateOutput> => c.send(new Command(input)) as Promise<GenerateOutput>;
