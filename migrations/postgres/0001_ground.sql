CREATE TABLE "events" (
    "id" uuid NOT NULL PRIMARY KEY,
    "at" timestamptz NOT NULL,
    "what" text COLLATE "C" NOT NULL,
    "user_id" uuid,
    "actor_id" uuid,
    "session_id" uuid,
    "request_id" uuid,
    "address" text COLLATE "C",
    "user_agent" text COLLATE "C",
    "detail" jsonb NOT NULL,
    "block" bigint NOT NULL,
    "personal" bytea,
    revision bigint NOT NULL
);
CREATE INDEX events_by_user_id_at ON "events" ("user_id", "at");
CREATE INDEX events_by_actor_id_at ON "events" ("actor_id", "at") WHERE "actor_id" IS NOT NULL;
CREATE INDEX events_by_what_at ON "events" ("what", "at");
CREATE INDEX events_by_at ON "events" ("at");
CREATE INDEX events_by_block ON "events" ("block");

CREATE TABLE "outgoing" (
    "id" uuid NOT NULL PRIMARY KEY,
    "state" text COLLATE "C" NOT NULL,
    "attempts" bigint NOT NULL,
    "posted" boolean NOT NULL,
    "published" boolean NOT NULL,
    "trouble" text COLLATE "C",
    "at" timestamptz NOT NULL,
    "due_at" timestamptz,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX outgoing_by_state_at ON "outgoing" ("state", "at");
CREATE INDEX outgoing_by_due_at ON "outgoing" ("due_at") WHERE "due_at" IS NOT NULL;
CREATE INDEX outgoing_by_expires_at ON "outgoing" ("expires_at");

CREATE TABLE "audit_blocks" (
    "number" bigint NOT NULL PRIMARY KEY,
    "previous" bytea NOT NULL,
    "root" bytea NOT NULL,
    "events" bigint NOT NULL,
    "first_at" timestamptz NOT NULL,
    "last_at" timestamptz NOT NULL,
    "sealed_at" timestamptz NOT NULL,
    "seal" bytea NOT NULL,
    "digest" bytea NOT NULL,
    "purged_at" timestamptz,
    "purge" bytea,
    revision bigint NOT NULL
);
CREATE INDEX audit_blocks_by_number ON "audit_blocks" ("number");
CREATE INDEX audit_blocks_by_purged_at_number ON "audit_blocks" ("purged_at", "number");

CREATE TABLE "tallies" (
    "id" text COLLATE "C" NOT NULL PRIMARY KEY,
    "name" text COLLATE "C" NOT NULL,
    "grain" text COLLATE "C" NOT NULL,
    "begins_at" timestamptz NOT NULL,
    "count" bigint NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX tallies_by_grain_begins_at ON "tallies" ("grain", "begins_at");
CREATE INDEX tallies_by_expires_at ON "tallies" ("expires_at");

CREATE TABLE "positions" (
    "id" text COLLATE "C" NOT NULL PRIMARY KEY,
    "at" timestamptz NOT NULL,
    "last" uuid NOT NULL,
    revision bigint NOT NULL
);

CREATE TABLE "telling" (
    "id" uuid NOT NULL PRIMARY KEY,
    "holder" uuid NOT NULL,
    "ends_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);

CREATE TABLE "spending" (
    "day" text COLLATE "C" NOT NULL PRIMARY KEY,
    "home_known" bigint NOT NULL,
    "home_strangers" bigint NOT NULL,
    "abroad_known" bigint NOT NULL,
    "abroad_strangers" bigint NOT NULL,
    "warned_at" timestamptz,
    "stopped_at" timestamptz,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX spending_by_expires_at ON "spending" ("expires_at");

CREATE TABLE "sends" (
    "of" text COLLATE "C" NOT NULL PRIMARY KEY,
    "log" jsonb NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX sends_by_expires_at ON "sends" ("expires_at");

CREATE TABLE "replays" (
    "id" bytea NOT NULL PRIMARY KEY,
    "request" bytea NOT NULL,
    "answer" bytea NOT NULL,
    "created_at" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX replays_by_expires_at ON "replays" ("expires_at");

CREATE TABLE "clients" (
    "id" uuid NOT NULL PRIMARY KEY,
    "name" text COLLATE "C" NOT NULL,
    "digest" bytea NOT NULL,
    "created_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX clients_by_created_at ON "clients" ("created_at");

CREATE TABLE "service_accounts" (
    "id" uuid NOT NULL PRIMARY KEY,
    "name" text COLLATE "C" NOT NULL,
    "made_by" uuid,
    "created_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX service_accounts_by_created_at ON "service_accounts" ("created_at");

CREATE TABLE "api_keys" (
    "id" uuid NOT NULL PRIMARY KEY,
    "account_id" uuid NOT NULL,
    "name" text COLLATE "C" NOT NULL,
    "digest" bytea NOT NULL,
    "scopes" jsonb NOT NULL,
    "created_at" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    "used_at" timestamptz,
    revision bigint NOT NULL
);
CREATE INDEX api_keys_by_account_id_created_at ON "api_keys" ("account_id", "created_at");
CREATE INDEX api_keys_by_expires_at ON "api_keys" ("expires_at");

CREATE TABLE "signing_keys" (
    "id" uuid NOT NULL PRIMARY KEY,
    "algorithm" text COLLATE "C" NOT NULL,
    "number" bigint NOT NULL,
    "private" bytea NOT NULL,
    "public" jsonb NOT NULL,
    "created_at" timestamptz NOT NULL,
    "active_from" timestamptz NOT NULL,
    "retired_at" timestamptz,
    "expires_at" timestamptz,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX signing_keys_by_algorithm_number ON "signing_keys" ("algorithm", "number");
CREATE INDEX signing_keys_by_expires_at ON "signing_keys" ("expires_at");

CREATE TABLE "revocations" (
    "id" uuid NOT NULL PRIMARY KEY,
    "user_id" uuid NOT NULL,
    "session_id" uuid,
    "counts_from" timestamptz,
    "shut" boolean NOT NULL,
    "number" bigint,
    "due_at" timestamptz,
    "expires_at" timestamptz,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX revocations_by_number ON "revocations" ("number");
CREATE INDEX revocations_by_due_at ON "revocations" ("due_at") WHERE "due_at" IS NOT NULL;
CREATE INDEX revocations_by_expires_at ON "revocations" ("expires_at");

CREATE TABLE "revocation_head" (
    "id" uuid NOT NULL PRIMARY KEY,
    "first" uuid NOT NULL,
    "last" uuid NOT NULL,
    "number" bigint NOT NULL,
    revision bigint NOT NULL
);

CREATE TABLE "identifiers" (
    "id" uuid NOT NULL PRIMARY KEY,
    "user_id" uuid NOT NULL,
    "kind" text COLLATE "C" NOT NULL,
    "value" text COLLATE "C" NOT NULL,
    "canonical" text COLLATE "C" NOT NULL,
    "owned" text COLLATE "C",
    "verified_at" timestamptz,
    "created_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX identifiers_by_owned ON "identifiers" ("owned");
CREATE INDEX identifiers_by_canonical_created_at ON "identifiers" ("canonical", "created_at");
CREATE INDEX identifiers_by_user_id_created_at ON "identifiers" ("user_id", "created_at");

CREATE TABLE "passwords" (
    "user_id" uuid NOT NULL PRIMARY KEY,
    "phc" text COLLATE "C" NOT NULL,
    "changed_at" timestamptz NOT NULL,
    "failures" bigint NOT NULL,
    revision bigint NOT NULL
);

CREATE TABLE "messages" (
    "id" uuid NOT NULL PRIMARY KEY,
    "kind" text COLLATE "C" NOT NULL,
    "purpose" text COLLATE "C" NOT NULL,
    "to" text COLLATE "C" NOT NULL,
    "body" bytea,
    "user" uuid,
    "challenge" uuid,
    "status" text COLLATE "C" NOT NULL,
    "attempts" bigint NOT NULL,
    "doubts" bigint NOT NULL,
    "provider" text COLLATE "C" NOT NULL,
    "provider_ref" text COLLATE "C",
    "error_code" bigint,
    "error_reason" text COLLATE "C",
    "callback" bytea NOT NULL,
    "callback_sealed" bytea,
    "history" jsonb NOT NULL,
    "tries" jsonb NOT NULL,
    "fallback" jsonb NOT NULL,
    "polls" bigint NOT NULL,
    "look_at" timestamptz,
    "created_at" timestamptz NOT NULL,
    "valid_until" timestamptz NOT NULL,
    "due_at" timestamptz,
    "finished_at" timestamptz,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX messages_by_kind_due_at ON "messages" ("kind", "due_at");
CREATE INDEX messages_by_provider_ref ON "messages" ("provider_ref") WHERE "provider_ref" IS NOT NULL;
CREATE INDEX messages_by_user_created_at ON "messages" ("user", "created_at");
CREATE INDEX messages_by_created_at ON "messages" ("created_at");
CREATE INDEX messages_by_challenge ON "messages" ("challenge") WHERE "challenge" IS NOT NULL;
CREATE INDEX messages_by_look_at ON "messages" ("look_at") WHERE "look_at" IS NOT NULL;
CREATE INDEX messages_by_expires_at ON "messages" ("expires_at");

CREATE TABLE "factors" (
    "id" uuid NOT NULL PRIMARY KEY,
    "user_id" uuid NOT NULL,
    "kind" text COLLATE "C" NOT NULL,
    "name" text COLLATE "C",
    "identifier_id" uuid,
    "chosen" boolean NOT NULL,
    "secret" bytea,
    "last_step" bigint,
    "codes" jsonb NOT NULL,
    "failures" bigint NOT NULL,
    "recovery_failures" bigint NOT NULL,
    "locked_at" timestamptz,
    "created_at" timestamptz NOT NULL,
    "bound_at" timestamptz,
    "used_at" timestamptz,
    revision bigint NOT NULL
);
CREATE INDEX factors_by_user_id_created_at ON "factors" ("user_id", "created_at");

CREATE TABLE "users" (
    "id" uuid NOT NULL PRIMARY KEY,
    "name" text COLLATE "C",
    "locale" text COLLATE "C",
    "status" text COLLATE "C" NOT NULL,
    "suspended_until" timestamptz,
    "suspended_for" text COLLATE "C",
    "roles" jsonb NOT NULL,
    "rank" text COLLATE "C" NOT NULL,
    "metadata" jsonb NOT NULL,
    "sessions_from" timestamptz NOT NULL,
    "created_at" timestamptz NOT NULL,
    "updated_at" timestamptz NOT NULL,
    "purge_at" timestamptz,
    revision bigint NOT NULL
);
CREATE INDEX users_by_created_at ON "users" ("created_at");
CREATE INDEX users_by_status_created_at ON "users" ("status", "created_at");
CREATE INDEX users_by_rank_created_at ON "users" ("rank", "created_at");
CREATE INDEX users_by_purge_at ON "users" ("purge_at") WHERE "purge_at" IS NOT NULL;
CREATE INDEX users_by_suspended_until ON "users" ("suspended_until") WHERE "suspended_until" IS NOT NULL;

CREATE TABLE "removed_users" (
    "id" uuid NOT NULL PRIMARY KEY,
    revision bigint NOT NULL
);

CREATE TABLE "organizations" (
    "id" uuid NOT NULL PRIMARY KEY,
    "name" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL,
    "updated_at" timestamptz NOT NULL,
    "ended_at" timestamptz,
    revision bigint NOT NULL
);
CREATE INDEX organizations_by_created_at ON "organizations" ("created_at");
CREATE INDEX organizations_by_ended_at ON "organizations" ("ended_at") WHERE "ended_at" IS NOT NULL;

CREATE TABLE "members" (
    "id" uuid NOT NULL PRIMARY KEY,
    "organization_id" uuid NOT NULL,
    "user_id" uuid NOT NULL,
    "role" text COLLATE "C" NOT NULL,
    "created_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX members_by_organization_id_user_id ON "members" ("organization_id", "user_id");
CREATE INDEX members_by_organization_id_created_at ON "members" ("organization_id", "created_at");
CREATE INDEX members_by_organization_id_role ON "members" ("organization_id", "role");
CREATE INDEX members_by_user_id_created_at ON "members" ("user_id", "created_at");

CREATE TABLE "invitations" (
    "id" uuid NOT NULL PRIMARY KEY,
    "digest" bytea NOT NULL,
    "organization_id" uuid NOT NULL,
    "email" text COLLATE "C" NOT NULL,
    "canonical" text COLLATE "C" NOT NULL,
    "role" text COLLATE "C" NOT NULL,
    "invited_by" uuid,
    "counts_from" timestamptz,
    "created_at" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX invitations_by_organization_id_canonical ON "invitations" ("organization_id", "canonical");
CREATE INDEX invitations_by_organization_id_created_at ON "invitations" ("organization_id", "created_at");
CREATE INDEX invitations_by_expires_at ON "invitations" ("expires_at");

CREATE TABLE "sessions" (
    "id" uuid NOT NULL PRIMARY KEY,
    "user_id" uuid NOT NULL,
    "digest" bytea NOT NULL,
    "carry" text COLLATE "C" NOT NULL,
    "device_id" uuid,
    "act" jsonb,
    "proofs" jsonb NOT NULL,
    "address" text COLLATE "C",
    "user_agent" text COLLATE "C",
    "created_at" timestamptz NOT NULL,
    "counts_from" timestamptz NOT NULL,
    "seen_at" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    "generation" bigint NOT NULL,
    "rotated_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX sessions_by_user_id_created_at ON "sessions" ("user_id", "created_at");
CREATE INDEX sessions_by_expires_at ON "sessions" ("expires_at");

CREATE TABLE "moved_sessions" (
    "id" uuid NOT NULL PRIMARY KEY,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX moved_sessions_by_expires_at ON "moved_sessions" ("expires_at");

CREATE TABLE "devices" (
    "id" uuid NOT NULL PRIMARY KEY,
    "digest" bytea NOT NULL,
    "user_id" uuid NOT NULL,
    "user_agent" text COLLATE "C",
    "address" text COLLATE "C",
    "failures" bigint NOT NULL,
    "trusted_under" jsonb NOT NULL,
    "trusted_until" timestamptz,
    "created_at" timestamptz NOT NULL,
    "counts_from" timestamptz NOT NULL,
    "used_at" timestamptz NOT NULL,
    "known_until" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX devices_by_user_id_created_at ON "devices" ("user_id", "created_at");
CREATE INDEX devices_by_user_id_address_user_agent ON "devices" ("user_id", "address", "user_agent");
CREATE INDEX devices_by_known_until ON "devices" ("known_until");

CREATE TABLE "calls" (
    "id" uuid NOT NULL PRIMARY KEY,
    "user_id" uuid NOT NULL,
    "to" text COLLATE "C" NOT NULL,
    "from" text COLLATE "C" NOT NULL,
    "say" bytea,
    "twiml_url" text COLLATE "C",
    "language" text COLLATE "C" NOT NULL,
    "status" text COLLATE "C" NOT NULL,
    "next" text COLLATE "C" NOT NULL,
    "attempts" bigint NOT NULL,
    "looks" bigint NOT NULL,
    "canceled_at" timestamptz,
    "provider" text COLLATE "C" NOT NULL,
    "provider_ref" text COLLATE "C",
    "error_code" bigint,
    "error_reason" text COLLATE "C",
    "duration" bigint,
    "callback" bytea NOT NULL,
    "callback_sealed" bytea,
    "history" jsonb NOT NULL,
    "created_at" timestamptz NOT NULL,
    "valid_until" timestamptz NOT NULL,
    "tried_at" timestamptz,
    "due_at" timestamptz,
    "finished_at" timestamptz,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX calls_by_user_id_created_at ON "calls" ("user_id", "created_at");
CREATE INDEX calls_by_created_at ON "calls" ("created_at");
CREATE INDEX calls_by_user_id_status_created_at ON "calls" ("user_id", "status", "created_at");
CREATE INDEX calls_by_provider_ref ON "calls" ("provider_ref") WHERE "provider_ref" IS NOT NULL;
CREATE INDEX calls_by_due_at ON "calls" ("due_at") WHERE "due_at" IS NOT NULL;
CREATE INDEX calls_by_expires_at ON "calls" ("expires_at");

CREATE TABLE "recoveries" (
    "id" uuid NOT NULL PRIMARY KEY,
    "digest" bytea NOT NULL,
    "user_id" uuid NOT NULL,
    "proofs" jsonb NOT NULL,
    "waits" boolean NOT NULL,
    "identifier_id" uuid,
    "device_id" uuid,
    "created_at" timestamptz NOT NULL,
    "counts_from" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX recoveries_by_expires_at ON "recoveries" ("expires_at");

CREATE TABLE "challenges" (
    "id" uuid NOT NULL PRIMARY KEY,
    "digest" bytea NOT NULL,
    "purpose" text COLLATE "C" NOT NULL,
    "user_id" uuid NOT NULL,
    "factor_id" uuid NOT NULL,
    "factor" text COLLATE "C" NOT NULL,
    "offered" jsonb NOT NULL,
    "identifier_id" uuid,
    "sent_to" text COLLATE "C",
    "code" bytea,
    "session_id" uuid,
    "device_id" uuid,
    "recovery_id" uuid,
    "operation" text COLLATE "C",
    "proofs" jsonb NOT NULL,
    "carry" text COLLATE "C" NOT NULL,
    "attempts" bigint NOT NULL,
    "sends" bigint NOT NULL,
    "sent_at" timestamptz NOT NULL,
    "created_at" timestamptz NOT NULL,
    "counts_from" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX challenges_by_user_id_created_at ON "challenges" ("user_id", "created_at");
CREATE INDEX challenges_by_expires_at ON "challenges" ("expires_at");

CREATE TABLE "undos" (
    "id" uuid NOT NULL PRIMARY KEY,
    "digest" bytea NOT NULL,
    "user_id" uuid NOT NULL,
    "what" jsonb NOT NULL,
    "known" jsonb NOT NULL,
    "created_at" timestamptz NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX undos_by_user_id_created_at ON "undos" ("user_id", "created_at");
CREATE INDEX undos_by_expires_at ON "undos" ("expires_at");

CREATE TABLE "begun_sign_ins" (
    "id" bytea NOT NULL PRIMARY KEY,
    "challenge" bytea NOT NULL,
    "expires_at" timestamptz NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX begun_sign_ins_by_expires_at ON "begun_sign_ins" ("expires_at");

