// Reads and changes the policies that an explanation is about, with IAM's own operations.
import { iam } from "../aws/clients";
import { entries, same, target, type Explanation, type Fix } from "../model/explanation";

export type Outcome = "applied" | "already" | "changed" | "full";

const absent = (e: unknown) => (e as Error)?.name?.startsWith("NoSuchEntity");
const plain = (doc: string | undefined) => (doc === undefined ? undefined : decodeURIComponent(doc));

// present is the document as it is now; undefined if there is none.
async function present(f: Fix): Promise<string | undefined> {
  const { m, c } = await iam();
  const to = target(f)!;
  try {
    switch (to.kind) {
      case "role":
        return plain((await c.send(new m.GetRolePolicyCommand({ RoleName: to.name, PolicyName: to.policy }))).PolicyDocument);
      case "user":
        return plain((await c.send(new m.GetUserPolicyCommand({ UserName: to.name, PolicyName: to.policy }))).PolicyDocument);
      case "group":
        return plain((await c.send(new m.GetGroupPolicyCommand({ GroupName: to.name, PolicyName: to.policy }))).PolicyDocument);
      case "trust":
        return plain((await c.send(new m.GetRoleCommand({ RoleName: to.role }))).Role?.AssumeRolePolicyDocument);
      case "managed": {
        const p = await c.send(new m.GetPolicyCommand({ PolicyArn: to.arn }));
        const v = await c.send(new m.GetPolicyVersionCommand({ PolicyArn: to.arn, VersionId: p.Policy!.DefaultVersionId }));
        return plain(v.PolicyVersion?.Document);
      }
    }
  } catch (e) {
    if (absent(e)) return undefined;
    throw e;
  }
}

// apply puts a fix in place, unless the policy is not what the explanation was made of.
export async function apply(f: Fix): Promise<Outcome> {
  const { m, c } = await iam();
  const to = target(f)!;
  const now = await present(f);
  if (now !== undefined && same(now, f.after)) return "already";
  if (f.new ? now !== undefined : !same(now, f.before)) return "changed";
  const PolicyDocument = f.after;
  switch (to.kind) {
    case "role":
      await c.send(new m.PutRolePolicyCommand({ RoleName: to.name, PolicyName: to.policy, PolicyDocument }));
      break;
    case "user":
      await c.send(new m.PutUserPolicyCommand({ UserName: to.name, PolicyName: to.policy, PolicyDocument }));
      break;
    case "group":
      await c.send(new m.PutGroupPolicyCommand({ GroupName: to.name, PolicyName: to.policy, PolicyDocument }));
      break;
    case "trust":
      await c.send(new m.UpdateAssumeRolePolicyCommand({ RoleName: to.role, PolicyDocument }));
      break;
    case "managed":
      try {
        await c.send(new m.CreatePolicyVersionCommand({ PolicyArn: to.arn, PolicyDocument, SetAsDefault: true }));
      } catch (e) {
        if ((e as Error).name.startsWith("LimitExceeded")) return "full";
        throw e;
      }
  }
  return "applied";
}

// simulate evaluates every part of the call as the principal's policies are now, with others beside
// them. Each part has condition keys of its own, so each is a simulation of its own.
export async function simulate(e: Explanation, beside: string[]): Promise<{ allowed: number; all: number; parts: string[] }> {
  const { m, c } = await iam();
  const parts = await Promise.all(
    e.parts.map(async (p) => {
      const r = await c.send(
        new m.SimulatePrincipalPolicyCommand({
          PolicySourceArn: e.principal,
          PolicyInputList: beside.length ? beside : undefined,
          ActionNames: [p.action],
          ResourceArns: [p.resource],
          ContextEntries: entries(p),
        }),
      );
      return String(r.EvaluationResults?.[0]?.EvalDecision);
    }),
  );
  return { parts, all: parts.length, allowed: parts.filter((p) => p === "allowed").length };
}
