export { IAMClient as Client, ListRolesCommand } from "@aws-sdk/client-iam";
