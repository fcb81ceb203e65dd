CREATE TABLE "events" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "at" TEXT NOT NULL,
    "what" TEXT NOT NULL,
    "user_id" TEXT,
    "actor_id" TEXT,
    "session_id" TEXT,
    "request_id" TEXT,
    "address" TEXT,
    "user_agent" TEXT,
    "detail" TEXT NOT NULL,
    "block" INTEGER NOT NULL,
    "personal" BLOB,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_user_id_at ON "events" ("user_id", "at");
CREATE INDEX events_by_actor_id_at ON "events" ("actor_id", "at") WHERE "actor_id" IS NOT NULL;
CREATE INDEX events_by_what_at ON "events" ("what", "at");
CREATE INDEX events_by_at ON "events" ("at");
CREATE INDEX events_by_block ON "events" ("block");

CREATE TABLE "outgoing" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "state" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "posted" INTEGER NOT NULL,
    "published" INTEGER NOT NULL,
    "trouble" TEXT,
    "at" TEXT NOT NULL,
    "due_at" TEXT,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outgoing_by_state_at ON "outgoing" ("state", "at");
CREATE INDEX outgoing_by_due_at ON "outgoing" ("due_at") WHERE "due_at" IS NOT NULL;
CREATE INDEX outgoing_by_expires_at ON "outgoing" ("expires_at");

CREATE TABLE "audit_blocks" (
    "number" INTEGER NOT NULL PRIMARY KEY,
    "previous" BLOB NOT NULL,
    "root" BLOB NOT NULL,
    "events" INTEGER NOT NULL,
    "first_at" TEXT NOT NULL,
    "last_at" TEXT NOT NULL,
    "sealed_at" TEXT NOT NULL,
    "seal" BLOB NOT NULL,
    "digest" BLOB NOT NULL,
    "purged_at" TEXT,
    "purge" BLOB,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_blocks_by_number ON "audit_blocks" ("number");
CREATE INDEX audit_blocks_by_purged_at_number ON "audit_blocks" ("purged_at", "number");

CREATE TABLE "tallies" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "grain" TEXT NOT NULL,
    "begins_at" TEXT NOT NULL,
    "count" INTEGER NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tallies_by_grain_begins_at ON "tallies" ("grain", "begins_at");
CREATE INDEX tallies_by_expires_at ON "tallies" ("expires_at");

CREATE TABLE "positions" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "at" TEXT NOT NULL,
    "last" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "telling" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "holder" TEXT NOT NULL,
    "ends_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "spending" (
    "day" TEXT NOT NULL PRIMARY KEY,
    "home_known" INTEGER NOT NULL,
    "home_strangers" INTEGER NOT NULL,
    "abroad_known" INTEGER NOT NULL,
    "abroad_strangers" INTEGER NOT NULL,
    "warned_at" TEXT,
    "stopped_at" TEXT,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_by_expires_at ON "spending" ("expires_at");

CREATE TABLE "sends" (
    "of" TEXT NOT NULL PRIMARY KEY,
    "log" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sends_by_expires_at ON "sends" ("expires_at");

CREATE TABLE "replays" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "request" BLOB NOT NULL,
    "answer" BLOB NOT NULL,
    "created_at" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_expires_at ON "replays" ("expires_at");

CREATE TABLE "clients" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "digest" BLOB NOT NULL,
    "created_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX clients_by_created_at ON "clients" ("created_at");

CREATE TABLE "service_accounts" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "made_by" TEXT,
    "created_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX service_accounts_by_created_at ON "service_accounts" ("created_at");

CREATE TABLE "api_keys" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "account_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "digest" BLOB NOT NULL,
    "scopes" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    "used_at" TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_account_id_created_at ON "api_keys" ("account_id", "created_at");
CREATE INDEX api_keys_by_expires_at ON "api_keys" ("expires_at");

CREATE TABLE "signing_keys" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "algorithm" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "private" BLOB NOT NULL,
    "public" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "active_from" TEXT NOT NULL,
    "retired_at" TEXT,
    "expires_at" TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signing_keys_by_algorithm_number ON "signing_keys" ("algorithm", "number");
CREATE INDEX signing_keys_by_expires_at ON "signing_keys" ("expires_at");

CREATE TABLE "revocations" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "user_id" TEXT NOT NULL,
    "session_id" TEXT,
    "counts_from" TEXT,
    "shut" INTEGER NOT NULL,
    "number" INTEGER,
    "due_at" TEXT,
    "expires_at" TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX revocations_by_number ON "revocations" ("number");
CREATE INDEX revocations_by_due_at ON "revocations" ("due_at") WHERE "due_at" IS NOT NULL;
CREATE INDEX revocations_by_expires_at ON "revocations" ("expires_at");

CREATE TABLE "revocation_head" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "first" TEXT NOT NULL,
    "last" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "identifiers" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "user_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "canonical" TEXT NOT NULL,
    "owned" TEXT,
    "verified_at" TEXT,
    "created_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX identifiers_by_owned ON "identifiers" ("owned");
CREATE INDEX identifiers_by_canonical_created_at ON "identifiers" ("canonical", "created_at");
CREATE INDEX identifiers_by_user_id_created_at ON "identifiers" ("user_id", "created_at");

CREATE TABLE "passwords" (
    "user_id" TEXT NOT NULL PRIMARY KEY,
    "phc" TEXT NOT NULL,
    "changed_at" TEXT NOT NULL,
    "failures" INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "messages" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "kind" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    "body" BLOB,
    "user" TEXT,
    "challenge" TEXT,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "doubts" INTEGER NOT NULL,
    "provider" TEXT NOT NULL,
    "provider_ref" TEXT,
    "error_code" INTEGER,
    "error_reason" TEXT,
    "callback" BLOB NOT NULL,
    "callback_sealed" BLOB,
    "history" TEXT NOT NULL,
    "tries" TEXT NOT NULL,
    "fallback" TEXT NOT NULL,
    "polls" INTEGER NOT NULL,
    "look_at" TEXT,
    "created_at" TEXT NOT NULL,
    "valid_until" TEXT NOT NULL,
    "due_at" TEXT,
    "finished_at" TEXT,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_kind_due_at ON "messages" ("kind", "due_at");
CREATE INDEX messages_by_provider_ref ON "messages" ("provider_ref") WHERE "provider_ref" IS NOT NULL;
CREATE INDEX messages_by_user_created_at ON "messages" ("user", "created_at");
CREATE INDEX messages_by_created_at ON "messages" ("created_at");
CREATE INDEX messages_by_challenge ON "messages" ("challenge") WHERE "challenge" IS NOT NULL;
CREATE INDEX messages_by_look_at ON "messages" ("look_at") WHERE "look_at" IS NOT NULL;
CREATE INDEX messages_by_expires_at ON "messages" ("expires_at");

CREATE TABLE "factors" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "user_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT,
    "identifier_id" TEXT,
    "chosen" INTEGER NOT NULL,
    "secret" BLOB,
    "last_step" INTEGER,
    "codes" TEXT NOT NULL,
    "failures" INTEGER NOT NULL,
    "recovery_failures" INTEGER NOT NULL,
    "locked_at" TEXT,
    "created_at" TEXT NOT NULL,
    "bound_at" TEXT,
    "used_at" TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX factors_by_user_id_created_at ON "factors" ("user_id", "created_at");

CREATE TABLE "users" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT,
    "locale" TEXT,
    "status" TEXT NOT NULL,
    "suspended_until" TEXT,
    "suspended_for" TEXT,
    "roles" TEXT NOT NULL,
    "rank" TEXT NOT NULL,
    "metadata" TEXT NOT NULL,
    "sessions_from" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "updated_at" TEXT NOT NULL,
    "purge_at" TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_created_at ON "users" ("created_at");
CREATE INDEX users_by_status_created_at ON "users" ("status", "created_at");
CREATE INDEX users_by_rank_created_at ON "users" ("rank", "created_at");
CREATE INDEX users_by_purge_at ON "users" ("purge_at") WHERE "purge_at" IS NOT NULL;
CREATE INDEX users_by_suspended_until ON "users" ("suspended_until") WHERE "suspended_until" IS NOT NULL;

CREATE TABLE "removed_users" (
    "id" TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "organizations" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "updated_at" TEXT NOT NULL,
    "ended_at" TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX organizations_by_created_at ON "organizations" ("created_at");
CREATE INDEX organizations_by_ended_at ON "organizations" ("ended_at") WHERE "ended_at" IS NOT NULL;

CREATE TABLE "members" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "organization_id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX members_by_organization_id_user_id ON "members" ("organization_id", "user_id");
CREATE INDEX members_by_organization_id_created_at ON "members" ("organization_id", "created_at");
CREATE INDEX members_by_organization_id_role ON "members" ("organization_id", "role");
CREATE INDEX members_by_user_id_created_at ON "members" ("user_id", "created_at");

CREATE TABLE "invitations" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "digest" BLOB NOT NULL,
    "organization_id" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "canonical" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "invited_by" TEXT,
    "counts_from" TEXT,
    "created_at" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX invitations_by_organization_id_canonical ON "invitations" ("organization_id", "canonical");
CREATE INDEX invitations_by_organization_id_created_at ON "invitations" ("organization_id", "created_at");
CREATE INDEX invitations_by_expires_at ON "invitations" ("expires_at");

CREATE TABLE "sessions" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "user_id" TEXT NOT NULL,
    "digest" BLOB NOT NULL,
    "carry" TEXT NOT NULL,
    "device_id" TEXT,
    "act" TEXT,
    "proofs" TEXT NOT NULL,
    "address" TEXT,
    "user_agent" TEXT,
    "created_at" TEXT NOT NULL,
    "counts_from" TEXT NOT NULL,
    "seen_at" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "rotated_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user_id_created_at ON "sessions" ("user_id", "created_at");
CREATE INDEX sessions_by_expires_at ON "sessions" ("expires_at");

CREATE TABLE "moved_sessions" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX moved_sessions_by_expires_at ON "moved_sessions" ("expires_at");

CREATE TABLE "devices" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "digest" BLOB NOT NULL,
    "user_id" TEXT NOT NULL,
    "user_agent" TEXT,
    "address" TEXT,
    "failures" INTEGER NOT NULL,
    "trusted_under" TEXT NOT NULL,
    "trusted_until" TEXT,
    "created_at" TEXT NOT NULL,
    "counts_from" TEXT NOT NULL,
    "used_at" TEXT NOT NULL,
    "known_until" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_user_id_created_at ON "devices" ("user_id", "created_at");
CREATE INDEX devices_by_user_id_address_user_agent ON "devices" ("user_id", "address", "user_agent");
CREATE INDEX devices_by_known_until ON "devices" ("known_until");

CREATE TABLE "calls" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "user_id" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    "from" TEXT NOT NULL,
    "say" BLOB,
    "twiml_url" TEXT,
    "language" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "next" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "looks" INTEGER NOT NULL,
    "canceled_at" TEXT,
    "provider" TEXT NOT NULL,
    "provider_ref" TEXT,
    "error_code" INTEGER,
    "error_reason" TEXT,
    "duration" INTEGER,
    "callback" BLOB NOT NULL,
    "callback_sealed" BLOB,
    "history" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "valid_until" TEXT NOT NULL,
    "tried_at" TEXT,
    "due_at" TEXT,
    "finished_at" TEXT,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_user_id_created_at ON "calls" ("user_id", "created_at");
CREATE INDEX calls_by_created_at ON "calls" ("created_at");
CREATE INDEX calls_by_user_id_status_created_at ON "calls" ("user_id", "status", "created_at");
CREATE INDEX calls_by_provider_ref ON "calls" ("provider_ref") WHERE "provider_ref" IS NOT NULL;
CREATE INDEX calls_by_due_at ON "calls" ("due_at") WHERE "due_at" IS NOT NULL;
CREATE INDEX calls_by_expires_at ON "calls" ("expires_at");

CREATE TABLE "recoveries" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "digest" BLOB NOT NULL,
    "user_id" TEXT NOT NULL,
    "proofs" TEXT NOT NULL,
    "waits" INTEGER NOT NULL,
    "identifier_id" TEXT,
    "device_id" TEXT,
    "created_at" TEXT NOT NULL,
    "counts_from" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recoveries_by_expires_at ON "recoveries" ("expires_at");

CREATE TABLE "challenges" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "digest" BLOB NOT NULL,
    "purpose" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "factor_id" TEXT NOT NULL,
    "factor" TEXT NOT NULL,
    "offered" TEXT NOT NULL,
    "identifier_id" TEXT,
    "sent_to" TEXT,
    "code" BLOB,
    "session_id" TEXT,
    "device_id" TEXT,
    "recovery_id" TEXT,
    "operation" TEXT,
    "proofs" TEXT NOT NULL,
    "carry" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "sends" INTEGER NOT NULL,
    "sent_at" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "counts_from" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_by_user_id_created_at ON "challenges" ("user_id", "created_at");
CREATE INDEX challenges_by_expires_at ON "challenges" ("expires_at");

CREATE TABLE "undos" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "digest" BLOB NOT NULL,
    "user_id" TEXT NOT NULL,
    "what" TEXT NOT NULL,
    "known" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX undos_by_user_id_created_at ON "undos" ("user_id", "created_at");
CREATE INDEX undos_by_expires_at ON "undos" ("expires_at");

CREATE TABLE "begun_sign_ins" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "challenge" BLOB NOT NULL,
    "expires_at" TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX begun_sign_ins_by_expires_at ON "begun_sign_ins" ("expires_at");

