-- Run before every migration, and changes nothing the second time. Group roles, without login: grant
-- paystate_service and paystate_reader to the accounts that services and analysts use. The owner migrates.
-- Timeouts belong on those accounts (deploy/RUNBOOK.md): what is set for a group does not reach who is in it.
do $$
declare
    wanted text;
    -- How to ask whether we may become the owner. From 16 on, whoever makes a role is a member of it that may only
    -- hand it on; 15 does not know the difference, nor the word.
    becoming constant text := case when current_setting('server_version_num')::integer >= 160000
        then 'set' else 'member' end;
begin
    foreach wanted in array array['paystate_owner', 'paystate_service', 'paystate_reader'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                -- Two databases of one server are being migrated at the same moment.
                when unique_violation or duplicate_object then null;
            end;
        end if;
    end loop;
    if not pg_has_role(current_user, 'paystate_owner', becoming) then
        execute format('grant paystate_owner to %I', current_user);
    end if;
    if to_regnamespace('paystate') is null then
        create schema paystate authorization paystate_owner;
    end if;
end $$;
