// The configuration of a machine that exists: role, logging, tracing, and its tags.
import { useState } from "react";
import type { DescribeStateMachineCommandOutput } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { noteError, sfn } from "../../aws/clients";
import { useLoad } from "../../app/load";
import { Arn, Empty, Problem } from "../../app/parts";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import machineTexts from "../../i18n/pages/machine";
import Role, { make, noRole, type RoleValue } from "./Role";
import SettingsForm, { loggingOf, settingsOf, type Settings } from "./Settings";
import TagsForm, { type TagRow } from "./Tags";

export default function Config({ d, onSaved }: { d: DescribeStateMachineCommandOutput; onSaved: () => void }) {
  const { t } = useI18n();
  const tr = useTexts(machineTexts);
  const [edit, setEdit] = useState<{ role: RoleValue; settings: Settings }>();
  const [made, setMade] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [tried, setTried] = useState(false);
  const now = settingsOf(d);
  const missing = edit && (edit.role.generate ? !edit.role.made || !edit.role.name.trim() : !edit.role.arn);
  const save = async () => {
    setTried(true);
    if (!edit || missing) return;
    setBusy(true);
    setError(undefined);
    try {
      let roleArn = edit.role.arn;
      if (edit.role.generate) {
        roleArn = await make(edit.role);
        setMade(edit.role.name);
        setEdit({ ...edit, role: { ...noRole, arn: roleArn } });
      }
      const { m, c } = await sfn();
      await c.send(new m.UpdateStateMachineCommand({ stateMachineArn: d.stateMachineArn, roleArn, loggingConfiguration: loggingOf(edit.settings), tracingConfiguration: { enabled: edit.settings.tracing } }));
      setEdit(undefined);
      onSaved();
    } catch (e) {
      noteError(e);
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <SpaceBetween size="m">
      {made && <Alert type="info">{tr("roleMade", { role: made })}</Alert>}
      <Problem error={error} />
      <Container
        header={
          <Header
            variant="h2"
            actions={
              edit ? (
                <SpaceBetween direction="horizontal" size="xs">
                  <Button variant="link" onClick={() => setEdit(undefined)}>
                    {t("cancel")}
                  </Button>
                  <Button variant="primary" onClick={() => void save()} loading={busy}>
                    {t("save")}
                  </Button>
                </SpaceBetween>
              ) : (
                <Button onClick={() => setEdit({ role: { ...noRole, arn: d.roleArn! }, settings: now })}>{t("edit")}</Button>
              )
            }
          >
            {tr("configuration")}
          </Header>
        }
      >
        {edit ? (
          <SpaceBetween size="l">
            <Role
              value={edit.role}
              onChange={(role) => setEdit({ ...edit, role })}
              machine={{ name: d.name!, definition: d.definition!, type: d.type!, loggingConfiguration: loggingOf(edit.settings), tracingConfiguration: { enabled: edit.settings.tracing } }}
              error={tried && missing ? (edit.role.generate ? tr("roleNeedsPolicy") : t("required")) : ""}
            />
            <SettingsForm value={edit.settings} onChange={(settings) => setEdit({ ...edit, settings })} />
          </SpaceBetween>
        ) : (
          <KeyValuePairs
            columns={2}
            items={[
              { label: t("role"), value: <Arn arn={d.roleArn} /> },
              { label: t("type"), value: d.type },
              { label: tr("logLevel"), value: tr(({ OFF: "logOff", ALL: "logAll", ERROR: "logError", FATAL: "logFatal" } as const)[now.level as "OFF"] ?? "logOff") },
              { label: tr("logGroup"), value: now.group ? <Arn arn={now.group} /> : "–" },
              { label: tr("tracing"), value: now.tracing ? "ON" : "OFF" },
              { label: tr("revision"), value: d.revisionId ? <Arn arn={d.revisionId} /> : "–" },
            ]}
          />
        )}
      </Container>
    </SpaceBetween>
  );
}

export function Tags({ arn }: { arn: string }) {
  const { t } = useI18n();
  const tr = useTexts(machineTexts);
  const [edit, setEdit] = useState<TagRow[]>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const tags = useLoad(
    async (abortSignal) => {
      const { m, c } = await sfn();
      const r = await c.send(new m.ListTagsForResourceCommand({ resourceArn: arn }), { abortSignal });
      return (r.tags ?? []).map((x): TagRow => ({ key: x.key!, value: x.value ?? "" }));
    },
    [arn],
  );
  const had = tags.data ?? [];
  const save = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await sfn();
      const gone = had.filter((x) => !edit!.some((y) => y.key === x.key)).map((x) => x.key);
      const changed = edit!.filter((x) => !had.some((y) => y.key === x.key && y.value === x.value));
      if (changed.length) await c.send(new m.TagResourceCommand({ resourceArn: arn, tags: changed }));
      if (gone.length) await c.send(new m.UntagResourceCommand({ resourceArn: arn, tagKeys: gone }));
      setEdit(undefined);
      tags.reload();
    } catch (e) {
      noteError(e);
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Container
      header={
        <Header
          variant="h2"
          counter={tags.data && `(${had.length})`}
          actions={
            edit ? (
              <SpaceBetween direction="horizontal" size="xs">
                <Button variant="link" onClick={() => setEdit(undefined)}>
                  {t("cancel")}
                </Button>
                <Button variant="primary" loading={busy} onClick={() => void save()}>
                  {t("save")}
                </Button>
              </SpaceBetween>
            ) : (
              <Button onClick={() => setEdit(had.length ? had : [{ key: "", value: "" }])} disabled={!tags.data}>
                {t("edit")}
              </Button>
            )
          }
        >
          {tr("tags")}
        </Header>
      }
    >
      <Problem error={tags.error ?? error} retry={tags.error ? tags.reload : undefined} />
      {edit ? <TagsForm value={edit} onChange={setEdit} /> : had.length === 0 ? <Empty title={tr("noTags")}>{tr("noTagsHint")}</Empty> : <KeyValuePairs columns={4} items={had.map((x) => ({ label: x.key, value: x.value || "–" }))} />}
    </Container>
  );
}
