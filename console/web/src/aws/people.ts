// What the console asks IAM of users, roles and policies. Documents come URL-encoded.
import { iam } from "./clients";
import { pages } from "../app/load";

export type Kind = "role" | "user";
export type Entity = { kind: Kind; name: string; arn: string; path?: string; created?: Date; description?: string; maxSession?: number; trust?: string };
export type Held = { name: string; arn?: string; document?: string }; // inline without an ARN

const most = 20; // pages of a list
export const plain = (doc: string | undefined) => {
  const text = decodeURIComponent(doc ?? "");
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};
const paged = <T>(p: (Marker: string | undefined) => Promise<{ items: T[] | undefined; Marker?: string; IsTruncated?: boolean }>) =>
  pages(most, async (m) => {
    const r = await p(m);
    return { items: r.items ?? [], next: r.IsTruncated ? r.Marker : undefined };
  });

export async function entities(kind: Kind): Promise<{ items: Entity[]; more: boolean }> {
  const { m, c } = await iam();
  const entity = (x: { Arn?: string; Path?: string; CreateDate?: Date; Description?: string }, name: string | undefined, trust?: string): Entity => ({
    kind, name: name!, arn: x.Arn!, path: x.Path, created: x.CreateDate, description: x.Description, trust,
  });
  return kind === "role"
    ? paged(async (Marker) => {
        const r = await c.send(new m.ListRolesCommand({ Marker, MaxItems: 1000 }));
        return { ...r, items: r.Roles?.map((x) => entity(x, x.RoleName, plain(x.AssumeRolePolicyDocument))) };
      })
    : paged(async (Marker) => {
        const r = await c.send(new m.ListUsersCommand({ Marker, MaxItems: 1000 }));
        return { ...r, items: r.Users?.map((x) => entity(x, x.UserName)) };
      });
}

export async function entity(kind: Kind, name: string): Promise<{ e: Entity; held: Held[] }> {
  const { m, c } = await iam();
  const role = kind === "role";
  const [x, inline, attached] = await Promise.all([
    role ? c.send(new m.GetRoleCommand({ RoleName: name })).then((r) => r.Role!) : c.send(new m.GetUserCommand({ UserName: name })).then((r) => r.User!),
    paged(async (Marker) => {
      const r = await (role ? c.send(new m.ListRolePoliciesCommand({ RoleName: name, Marker })) : c.send(new m.ListUserPoliciesCommand({ UserName: name, Marker })));
      return { ...r, items: r.PolicyNames };
    }),
    paged(async (Marker) => {
      const r = await (role ? c.send(new m.ListAttachedRolePoliciesCommand({ RoleName: name, Marker })) : c.send(new m.ListAttachedUserPoliciesCommand({ UserName: name, Marker })));
      return { ...r, items: r.AttachedPolicies };
    }),
  ]);
  const documents = await Promise.all(
    inline.items.map(async (PolicyName) => {
      const r = await (role ? c.send(new m.GetRolePolicyCommand({ RoleName: name, PolicyName })) : c.send(new m.GetUserPolicyCommand({ UserName: name, PolicyName })));
      return { name: PolicyName, document: plain(r.PolicyDocument) };
    }),
  );
  const r = x as { Description?: string; MaxSessionDuration?: number; AssumeRolePolicyDocument?: string };
  return {
    e: {
      kind, name, arn: x.Arn!, path: x.Path, created: x.CreateDate,
      description: r.Description, maxSession: r.MaxSessionDuration, trust: role ? plain(r.AssumeRolePolicyDocument) : undefined,
    },
    held: [...documents, ...attached.items.map((a) => ({ name: a.PolicyName!, arn: a.PolicyArn! }))],
  };
}

export async function putInline(e: Entity, PolicyName: string, PolicyDocument: string) {
  const { m, c } = await iam();
  await (e.kind === "role" ? c.send(new m.PutRolePolicyCommand({ RoleName: e.name, PolicyName, PolicyDocument })) : c.send(new m.PutUserPolicyCommand({ UserName: e.name, PolicyName, PolicyDocument })));
}

export async function deleteInline(e: Entity, PolicyName: string) {
  const { m, c } = await iam();
  await (e.kind === "role" ? c.send(new m.DeleteRolePolicyCommand({ RoleName: e.name, PolicyName })) : c.send(new m.DeleteUserPolicyCommand({ UserName: e.name, PolicyName })));
}

export async function attach(e: Entity, PolicyArn: string) {
  const { m, c } = await iam();
  await (e.kind === "role" ? c.send(new m.AttachRolePolicyCommand({ RoleName: e.name, PolicyArn })) : c.send(new m.AttachUserPolicyCommand({ UserName: e.name, PolicyArn })));
}

export async function detach(e: Entity, PolicyArn: string) {
  const { m, c } = await iam();
  await (e.kind === "role" ? c.send(new m.DetachRolePolicyCommand({ RoleName: e.name, PolicyArn })) : c.send(new m.DetachUserPolicyCommand({ UserName: e.name, PolicyArn })));
}

export async function putTrust(e: Entity, PolicyDocument: string) {
  const { m, c } = await iam();
  await c.send(new m.UpdateAssumeRolePolicyCommand({ RoleName: e.name, PolicyDocument }));
}

export type Managed = { name: string; arn: string; path?: string; description?: string; created?: Date; version?: string; attachments: number };

export const isAws = (arn: string) => /^arn:[^:]+:iam::aws:/.test(arn);

export async function managed(): Promise<{ items: Managed[]; more: boolean }> {
  const { m, c } = await iam();
  return paged(async (Marker) => {
    const r = await c.send(new m.ListPoliciesCommand({ Marker, MaxItems: 1000 }));
    return { ...r, items: r.Policies?.map((p) => ({ name: p.PolicyName!, arn: p.Arn!, path: p.Path, description: p.Description, created: p.CreateDate, version: p.DefaultVersionId, attachments: p.AttachmentCount ?? 0 })) };
  });
}
