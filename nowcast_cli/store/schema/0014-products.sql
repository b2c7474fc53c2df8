-- The index of operational files. Times ISO 8601 UTC; JSON: declared, late, expects, missing,
-- variables, inputs. `checked`: what was due by then has been judged; `late` are the reference times that
-- are late now.
CREATE TABLE product (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    declared TEXT NOT NULL,
    created  TEXT NOT NULL,
    modified TEXT NOT NULL,
    checked  TEXT NOT NULL,
    late     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `complete`, `pinned` and `deleted` say since when, `late` since when it was waited for; NULL where it is
-- not so. `expects` is what a complete one has, as it was declared when this one began, `missing` what of it
-- is not there; NULL where any file will do.
CREATE TABLE product_instance (
    id        TEXT PRIMARY KEY,
    product   TEXT NOT NULL,
    reference TEXT NOT NULL,
    version   INTEGER NOT NULL,
    created   TEXT NOT NULL,
    modified  TEXT NOT NULL,
    job       TEXT,
    files     INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    expects   TEXT,
    missing   TEXT,
    complete  TEXT,
    late      TEXT,
    pinned    TEXT,
    deleted   TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX product_instance_version ON product_instance (product, reference, version);
CREATE INDEX product_instance_there ON product_instance (product, reference, version)
    WHERE deleted IS NULL;
CREATE INDEX product_instance_complete ON product_instance (product, reference, version)
    WHERE complete IS NOT NULL AND deleted IS NULL;
CREATE INDEX product_instance_short_id ON product_instance (substr(id, -8));

-- What an instance holds; `name` tells apart what has the same variables, times and member.
CREATE TABLE data (
    id         TEXT PRIMARY KEY,
    instance   TEXT NOT NULL,
    name       TEXT NOT NULL,
    variables  TEXT NOT NULL,
    time_begin TEXT,
    time_end   TEXT,
    member     TEXT,
    created    TEXT NOT NULL,
    modified   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX data_of_instance ON data (instance, name);

-- A file, or a copy of one. What is `deleted` is known no more; `removed` says since when it is not on
-- the disk any more, so that what was killed in between is found.
CREATE TABLE data_instance (
    id       TEXT PRIMARY KEY,
    data     TEXT NOT NULL,
    url      TEXT NOT NULL,
    storage  TEXT NOT NULL,
    format   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    partial  INTEGER NOT NULL,
    created  TEXT NOT NULL,
    modified TEXT NOT NULL,
    expires  TEXT,
    deleted  TEXT,
    removed  TEXT,
    inputs   TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX data_instance_url ON data_instance (url) WHERE deleted IS NULL;
CREATE INDEX data_instance_of_data ON data_instance (data);
CREATE INDEX data_instance_sha256 ON data_instance (sha256);
CREATE INDEX data_instance_expires ON data_instance (expires)
    WHERE expires IS NOT NULL AND deleted IS NULL;
CREATE INDEX data_instance_leftover ON data_instance (id)
    WHERE deleted IS NOT NULL AND removed IS NULL;

CREATE TABLE storage (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    base      TEXT NOT NULL,
    kind      TEXT NOT NULL,
    created   TEXT NOT NULL,
    modified  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO storage VALUES ('01900000-0000-7000-8000-000000000001', 'local', 'file://', 'folder',
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
