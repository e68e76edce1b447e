-- What a process that runs jobs is, so that whoever looks can say which queues nobody works on, and that two versions
-- work side by side. A process of an older version says neither.

alter table berth.workers
    add column queues text[] not null default '{}',
    add column version text not null default '';
