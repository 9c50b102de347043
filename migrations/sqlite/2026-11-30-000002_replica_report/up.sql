-- report has facts about the replica's process, as a JSON object of at most 255 characters. The replica writes them with
-- each beat. The text is empty until the replica has read all providers.
ALTER TABLE allotment_replicas ADD COLUMN report VARCHAR(255) NOT NULL DEFAULT '';
