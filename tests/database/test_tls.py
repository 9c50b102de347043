"""TLS to the database: the service gets what the URL asks for, or no connection."""

import itertools

import pymysql
import pytest

# The name that is in the certificate, written so that the client library does not take it for its word
# for the socket in the file system.
NAME = 'LOCALHOST'


NUMBERS = itertools.count()


def own_database(server, host):
    """The URL of a new database, without its query."""
    name = f'test_{next(NUMBERS)}'
    with pymysql.connect(host='127.0.0.1', port=server.port, user='root') as connection:
        connection.cursor().execute(f'CREATE DATABASE {name}')
    return f'mysql+pymysql://root@{host}:{server.port}/{name}'


def refused(done, words=''):
    assert done.returncode == 1, done
    assert 'cannot connect to the database' in done.stderr, done
    assert words in done.stderr, done


@pytest.mark.parametrize('query', [
    'ssl_mode=REQUIRED', 'ssl_mode=VERIFY_CA', 'ssl_mode=VERIFY_IDENTITY', 'ssl_ca={ca}', 'ssl=true',
    'charset=utf8&ssl_verify_cert=true&ssl_ca={ca}', 'ssl_ca={ca}&ssl_verify_cert=false', 'ssl_verify_identity=1'])
def test_a_server_without_tls_is_refused_where_the_url_asks_for_it(mariadb, keys, migrate, query):
    url = own_database(mariadb, '127.0.0.1')
    refused(migrate(f'{url}?{query.format(ca=keys.authority)}'))


@pytest.mark.parametrize('query', ['', 'charset=utf8', 'ssl_mode=DISABLED', 'ssl_mode=PREFERRED'])
def test_a_server_without_tls_will_do_where_none_is_asked_for(mariadb, migrate, query):
    done = migrate(f'{own_database(mariadb, "127.0.0.1")}?{query}')
    assert done.returncode == 0, done


@pytest.mark.parametrize(('host', 'query', 'is_right'), [
    ('127.0.0.1', 'ssl_mode=REQUIRED', True),
    ('127.0.0.1', 'ssl_mode=PREFERRED', True),
    ('127.0.0.1', 'ssl=true', True),
    (NAME, 'ssl_ca={ca}', True),
    (NAME, 'charset=utf8&ssl_verify_cert=true&ssl_ca={ca}', True),
    (NAME, 'ssl_mode=VERIFY_IDENTITY&ssl_ca={ca}', True),
    (NAME, 'ssl_ca={stranger}', False),
    ('127.0.0.1', 'ssl_ca={ca}', False),
    ('127.0.0.1', 'ssl_ca={ca}&ssl_verify_identity=true', False),
    ('127.0.0.1', 'ssl_mode=VERIFY_IDENTITY&ssl_ca={ca}', False),
    (NAME, 'ssl_verify_cert=true', False),
    (NAME, 'ssl_ca=/nonexistent.pem', False),
    ('127.0.0.1', 'ssl_ca={ca}&ssl_verify_cert=false', True),
])
def test_the_certificate_is_verified_as_far_as_the_url_asks_for_it(
        mariadb_with_tls, keys, migrate, host, query, is_right):
    url = own_database(mariadb_with_tls, host)
    done = migrate(f'{url}?{query.format(ca=keys.authority, stranger=keys.stranger)}')
    if is_right:
        assert done.returncode == 0, done
    else:
        refused(done)


def test_an_option_file_asks_for_tls_too(mariadb_with_tls, keys, migrate, tmp_path):
    url = own_database(mariadb_with_tls, NAME)
    options = tmp_path / 'my.cnf'
    options.write_text(f'[client]\nssl=1\nssl-ca={keys.authority}\n')
    done = migrate(f'{url}?read_default_file={options}')
    assert done.returncode == 0, done
    options.write_text(f'[client]\nssl-ca={keys.stranger}\n')
    refused(migrate(f'{url}?read_default_file={options}'))


def postgres(server, host, query):
    return f'postgresql+psycopg2://postgres@{host}:{server.port}/postgres?{query}'


@pytest.mark.parametrize(('host', 'query', 'is_right'), [
    ('127.0.0.1', 'sslmode=require', True),
    ('127.0.0.1', 'sslmode=verify-ca&sslrootcert={ca}', True),
    ('127.0.0.1', 'sslmode=verify-full&sslrootcert={ca}', False),
    ('127.0.0.1', 'sslrootcert={ca}', False),
    ('localhost', 'sslrootcert={ca}', True),
    ('localhost', 'sslmode=verify-full&sslrootcert={ca}', True),
    ('localhost', 'sslrootcert={stranger}', False),
    ('localhost', 'sslmode=verify-ca&sslrootcert={stranger}', False),
])
def test_postgresql_is_verified_as_far_as_the_url_asks_for_it(
        postgresql_with_tls, keys, migrate, host, query, is_right):
    query = query.format(ca=keys.authority, stranger=keys.stranger)
    done = migrate(postgres(postgresql_with_tls, host, query))
    if is_right:
        assert done.returncode == 0, done
    else:
        refused(done)


@pytest.mark.parametrize('query', ['sslmode=require', 'sslmode=verify-full', 'sslrootcert={ca}', 'ssl=true'])
def test_a_postgresql_without_tls_is_refused_where_the_url_asks_for_it(postgresql, keys, migrate, query):
    refused(migrate(postgres(postgresql, 'localhost', query.format(ca=keys.authority))))
