import { useEffect, useState } from "react";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import later from "../../app/later";
import { iam, noteError } from "../../aws/clients";
import { isAws, plain } from "../../aws/people";
import { useLoad } from "../../app/load";
import { Copy, Go, Ids, Problem, to } from "../../app/parts";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/iam";

const PolicyEditor = later(() => import("./PolicyEditor"), <Spinner />);

export default function Policy({ arn }: { arn: string }) {
  const { t, time } = useI18n();
  const say = useTexts(texts);
  const own = !isAws(arn);
  const [chosen, choose] = useState<string>();
  const [text, setText] = useState<string>();
  const [state, setState] = useState<"" | "busy" | "saved">("");
  const [failed, setFailed] = useState<unknown>();
  const { data, error, reload } = useLoad(async () => {
    const { m, c } = await iam();
    const [p, versions, used] = await Promise.all([
      c.send(new m.GetPolicyCommand({ PolicyArn: arn })),
      c.send(new m.ListPolicyVersionsCommand({ PolicyArn: arn })),
      c.send(new m.ListEntitiesForPolicyCommand({ PolicyArn: arn })),
    ]);
    return { p: p.Policy!, versions: versions.Versions ?? [], used: [...(used.PolicyRoles ?? []).map((r) => ["role", r.RoleName!] as const), ...(used.PolicyUsers ?? []).map((r) => ["user", r.UserName!] as const)] };
  }, [arn]);
  const id = chosen ?? data?.p.DefaultVersionId;
  const doc = useLoad(async () => {
    if (!id) return undefined;
    const { m, c } = await iam();
    return plain((await c.send(new m.GetPolicyVersionCommand({ PolicyArn: arn, VersionId: id }))).PolicyVersion?.Document);
  }, [arn, id]);
  useEffect(() => setText(doc.data), [doc.data]);
  if (!data) return error ? <Problem error={error} retry={reload} /> : <Spinner size="large" />;
  const label = (v: string | undefined, isDefault: boolean | undefined) => (isDefault ? say("isDefault", { id: v ?? "" }) : (v ?? ""));
  const options = data.versions.map((v) => ({ value: v.VersionId!, label: label(v.VersionId, v.IsDefaultVersion) }));
  const save = async () => {
    setState("busy");
    setFailed(undefined);
    try {
      const { m, c } = await iam();
      const r = await c.send(new m.CreatePolicyVersionCommand({ PolicyArn: arn, PolicyDocument: text, SetAsDefault: true }));
      choose(r.PolicyVersion?.VersionId);
      setState("saved");
      reload();
    } catch (e) {
      noteError(e);
      setFailed(e);
      setState("");
    }
  };
  return (
    <ContentLayout header={<Header variant="h1" description={data.p.Description}>{data.p.PolicyName}</Header>}>
      <SpaceBetween size="m">
        <Problem error={failed} />
        <Container>
          <SpaceBetween size="s">
          <KeyValuePairs
            columns={3}
            items={[
              { label: say("kind"), value: say(own ? "customer" : "awsManaged") },
              { label: say("created"), value: time(data.p.CreateDate) },
            ]}
          />
          <Ids items={[[t("arn"), arn]]} />
          </SpaceBetween>
        </Container>
        <Container
          header={
            <Header
              variant="h2"
              actions={
                <SpaceBetween direction="horizontal" size="xs" alignItems="center">
                  {state === "saved" && <StatusIndicator type="success">{say("saved")}</StatusIndicator>}
                  <Select ariaLabel={say("version")} options={options} selectedOption={options.find((o) => o.value === id) ?? null} onChange={(e) => choose(e.detail.selectedOption.value)} />
                  <Copy text={text ?? ""} label={t("copy")} />
                  {own && (
                    <Button variant="primary" loading={state === "busy"} disabled={text === undefined || text === doc.data} onClick={() => void save()}>
                      {say("saveVersion")}
                    </Button>
                  )}
                </SpaceBetween>
              }
            >
              {say("document")}
            </Header>
          }
        >
          <Problem error={doc.error} retry={doc.reload} />
          {text !== undefined && (
            <PolicyEditor value={text} kind="identity" onChange={setText} readOnly={!own} key={String(own)} />
          )}
        </Container>
        <Container header={<Header variant="h2" counter={`(${data.used.length})`}>{say("usedBy")}</Header>}>
          {data.used.length === 0 ? (
            say("usedByNone")
          ) : (
            <SpaceBetween size="xs">
              {data.used.map(([kind, name]) => (
                <Go href={to.iam(kind, name)} key={kind + name}>
                  {name}
                </Go>
              ))}
            </SpaceBetween>
          )}
        </Container>
      </SpaceBetween>
    </ContentLayout>
  );
}
