// The role that a state machine runs as: one that exists, or the least one, seen before it is made.
import { useEffect, useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { iam, noteError, sfn } from "../../aws/clients";
import { pages, useLoad } from "../../app/load";
import { Code, pretty, Problem } from "../../app/parts";
import type { GenerateInput, GenerateOutput } from "../../aws/generate";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import machineTexts from "../../i18n/pages/machine";

export type RoleValue = { arn: string; generate: boolean; made?: GenerateOutput & { asked: string }; name: string };
export const noRole: RoleValue = { arn: "", generate: false, name: "" };

// make makes the role that was shown, with IAM's own operations, and returns its ARN.
export async function make(r: RoleValue): Promise<string> {
  const { m, c } = await iam();
  const got = r.made!;
  const role = await c.send(new m.CreateRoleCommand({ RoleName: r.name, AssumeRolePolicyDocument: got.trustPolicy, Description: "Runs a state machine; least privilege" }));
  if (got.policy) await c.send(new m.PutRolePolicyCommand({ RoleName: r.name, PolicyName: "least-privilege", PolicyDocument: got.policy }));
  for (const [i, doc] of (got.managedPolicies ?? []).entries()) {
    const p = await c.send(new m.CreatePolicyCommand({ PolicyName: `${r.name}-${i + 1}`.slice(-128), PolicyDocument: doc }));
    await c.send(new m.AttachRolePolicyCommand({ RoleName: r.name, PolicyArn: p.Policy!.Arn }));
  }
  return role.Role!.Arn!;
}

const marks = { error: "error", warning: "warning", info: "info" } as const;

type Props = { value: RoleValue; onChange: (r: RoleValue) => void; machine: Omit<GenerateInput, "language">; error?: string };

export default function Role({ value, onChange, machine, error }: Props) {
  const { t, locale } = useI18n();
  const tr = useTexts(machineTexts);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const roles = useLoad(async (abortSignal) => {
    const { m, c } = await iam();
    const all = await pages(20, async (Marker) => {
      const r = await c.send(new m.ListRolesCommand({ Marker }), { abortSignal });
      return { items: r.Roles ?? [], next: r.Marker };
    });
    // those that Step Functions may assume; the server has the last word
    const ours = (d = "") => decodeURIComponent(d).includes("states.amazonaws.com");
    return all.items.filter((r) => ours(r.AssumeRolePolicyDocument)).map((r) => ({ value: r.Arn!, label: r.RoleName!, description: r.Arn }));
  }, [value.arn && !value.generate ? value.arn : ""]);
  const asked = JSON.stringify(machine);
  useEffect(() => setFailed(undefined), [asked]);
  const show = async () => {
    setBusy(true);
    setFailed(undefined);
    try {
      const { m, c } = await sfn();
      const got = await m.generate(c, { ...machine, language: locale });
      onChange({ ...value, made: { ...got, asked }, name: value.name || got.roleName || "" });
    } catch (e) {
      noteError(e);
      setFailed(e);
    } finally {
      setBusy(false);
    }
  };
  const got = value.generate ? value.made : undefined;
  const options = roles.data ?? [];
  const known = options.find((r) => r.value === value.arn) ?? (value.arn ? { value: value.arn, label: value.arn.split("/").pop()!, description: value.arn } : null);
  return (
    <SpaceBetween size="s">
      <FormField label={t("role")} errorText={value.generate ? "" : error} stretch>
        <SpaceBetween size="s">
          <SegmentedControl
            label={t("role")}
            selectedId={value.generate ? "generate" : "choose"}
            onChange={(e) => onChange({ ...value, generate: e.detail.selectedId === "generate" })}
            options={[
              { id: "choose", text: tr("roleChoose") },
              { id: "generate", text: tr("roleGenerate") },
            ]}
          />
          {!value.generate && (
            <Select
              ariaLabel={tr("roleChoose")}
              selectedOption={known}
              options={options}
              onChange={(e) => onChange({ ...value, arn: e.detail.selectedOption.value! })}
              placeholder={t("chooseRole")}
              empty={t("noRoles")}
              statusType={roles.loading ? "loading" : roles.error ? "error" : "finished"}
              errorText={(roles.error as Error | undefined)?.message}
              recoveryText={t("retry")}
              onLoadItems={() => roles.error !== undefined && roles.reload()}
              filteringType="auto"
            />
          )}
        </SpaceBetween>
      </FormField>
      {value.generate && (
        <SpaceBetween size="s">
          <Box color="text-body-secondary">{tr("roleHint")}</Box>
          <FormField errorText={error} stretch>
            <Button onClick={() => void show()} loading={busy} disabled={!machine.name}>
              {tr(got ? "roleAgain" : "roleShow")}
            </Button>
          </FormField>
          {!machine.name && <StatusIndicator type="info">{tr("roleNeedsName")}</StatusIndicator>}
          <Problem error={failed} />
          {got && got.asked !== asked && <Alert type="warning">{tr("roleStale")}</Alert>}
          {got && (
            <SpaceBetween size="s">
              <FormField label={tr("roleName")}>
                <Input value={value.name} onChange={(e) => onChange({ ...value, name: e.detail.value })} spellcheck={false} />
              </FormField>
              {(got.findings ?? []).length > 0 && (
                <div>
                  <Box variant="awsui-key-label">{tr("roleFindings")}</Box>
                  <SpaceBetween size="xxs">
                    {got.findings!.map((f, i) => (
                      <StatusIndicator key={i} type={marks[f.severity as keyof typeof marks] ?? "info"} wrapText>
                        <b>{f.id}</b> {f.location} {f.message}
                      </StatusIndicator>
                    ))}
                  </SpaceBetween>
                </div>
              )}
              {got.policy && (
                <div>
                  <Box variant="awsui-key-label">{tr("rolePolicy")}</Box>
                  <Code text={pretty(got.policy)} />
                </div>
              )}
              {!got.policy && !got.managedPolicies && <Box>{tr("roleNothing")}</Box>}
              {got.managedPolicies?.map((p, i) => (
                <ExpandableSection key={i} headerText={tr("rolePolicyN", { n: i + 1 })}>
                  <Code text={pretty(p)} />
                </ExpandableSection>
              ))}
              <ExpandableSection headerText={tr("roleTrust")}>
                <Code text={pretty(got.trustPolicy)} />
              </ExpandableSection>
              {got.targets?.map((x) => (
                <ExpandableSection key={x.roleArn} headerText={tr("roleTargets", { role: x.roleArn ?? "" })}>
                  <Code text={pretty(x.policy)} />
                </ExpandableSection>
              ))}
            </SpaceBetween>
          )}
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}
