-- What the schema says about itself: docs/schema.md is made from it.

-- name: relations
-- Tables and views of the schemas that are an API; partitions are a matter of their tables.
SELECT c.oid, format('%%s.%%s (%%s)', n.nspname, c.relname, k.kind) AS title,
       obj_description(c.oid, 'pg_class') AS comment
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
       LATERAL (SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END) AS k (kind)
 WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
 ORDER BY array_position(%(schemas)s::text[], n.nspname::text), k.kind, c.relname;

-- name: columns
-- The columns of one of them.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       regexp_replace(v.value, '::[a-z ]+(\[\])?', '', 'g') AS default,
       a.attidentity <> '' OR v.value LIKE 'nextval(%%' AS numbered,
       col_description(a.attrelid, a.attnum) AS comment
  FROM pg_attribute AS a
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 CROSS JOIN LATERAL pg_get_expr(d.adbin, d.adrelid) AS v (value)
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum;

-- name: functions
-- Functions of those schemas.
SELECT format('%%s.%%s(%%s) → %%s', n.nspname, p.proname, pg_get_function_arguments(p.oid),
              pg_get_function_result(p.oid)) AS signature,
       obj_description(p.oid, 'pg_proc') AS comment
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname = ANY (%(schemas)s::text[]) AND p.prorettype <> 'trigger'::regtype
 ORDER BY array_position(%(schemas)s::text[], n.nspname::text), signature;

-- name: silent
-- Objects of those schemas that no comment explains.
SELECT format('%%s %%I.%%I', CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'relation' END, n.nspname, c.relname)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition
   AND obj_description(c.oid, 'pg_class') IS NULL
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'i' AND c.relkind = 'S')
UNION ALL
SELECT format('column %%I.%%I.%%I', n.nspname, c.relname, a.attname)
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
   AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL
UNION ALL
SELECT format('function %%I.%%I', n.nspname, p.proname)
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname = ANY (%(schemas)s::text[]) AND obj_description(p.oid, 'pg_proc') IS NULL;
