"""What the entries of the migration page about data do, as programs."""

from __future__ import annotations

__all__ = ["CHECKS"]

CHECKS: dict[str, str] = {
    "db.connect(uri)": """
        other = Database()
        other.connect("sqlite:///other.sqlite3")
        assert other.url.database == "other.sqlite3"
    """,
    "db.create_all()": "db.create_all()",
    "db.Model": """
        class Plain(db.Model):
            key: Mapped[int] = mapped_column(primary_key=True)
        assert Plain.get_fields() == ["key"]
    """,
    "db.Base": """
        class Based(db.Base):
            id = Column(Integer, primary_key=True)
        assert Based.get_fields() == ["id"]
    """,
    "db.BaseModel": "assert issubclass(User, db.BaseModel)",
    "db.transaction()": """
        try:
            with db.transaction():
                User.io.create(username="undone")
                raise LookupError
        except LookupError:
            pass
        with db.transaction():
            User.io.create(username="done")
        assert User.io.exists(username="done") and not User.io.exists(username="undone")
    """,
    "User.io.first(...)": "assert User.io.first(username='ann').age == 30",
    "User.io.create(...)": "assert User.io.create(username='eve').id",
    "User.io.exists(...)": "assert User.io.exists(username='ann')",
    "User.io.create_or_first(...)": """
        assert User.io.create_or_first(username="ann", age=30).id == 1
    """,
    "User.io.first_or_error(...)": """
        try:
            User.io.first_or_error(username="nobody")
        except NotFound:
            pass
        else:
            raise AssertionError("found")
    """,
    "User.io.query()": """
        query = User.io.query().filter(User.id <= 2).order_by("-age")
        assert [user.username for user in query] == ["ann", "bob"] and query.count() == 2
    """,
    "await User.aio.first(...)": "assert (await User.aio.first(username='ann')).age == 30",
    "await User.aio.create(...)": "assert (await User.aio.create(username='zoe')).id",
    "await User.aio.exists(...)": "assert await User.aio.exists(username='ann')",
    "await User.aio.create_or_first(...)": """
        assert (await User.aio.create_or_first(username="ann", age=30)).id == 1
    """,
    "await User.aio.first_or_error(...)": """
        assert (await User.aio.first_or_error(username="bob")).id == 2
    """,
    "await User.aio.query()": """
        found = await User.aio.query(id__lte=2).order_by("-age")
        assert [user.username for user in found] == ["ann", "bob"]
    """,
    "user.save()": "assert User(username='saved').save().id",
    "user.delete()": """
        User.io.create(username="gone").delete()
        assert not User.io.exists(username="gone")
    """,
    "user.to_dict()": "assert User.io.first(id=1).to_dict()['username'] == 'ann'",
    "User.count()": "assert User.count(username='ann') == 1",
    "User.get_or_create(...)": """
        found, made = User.get_or_create(username="ann")
        assert (found.id, made) == (1, False)
    """,
    "User.update_or_create(...)": """
        found, made = User.update_or_create({"age": 30}, username="ann")
        assert (found.age, made) == (30, False)
    """,
    "User.first(...)": "assert User.first(username='ann').id == 1",
    "User.create(...)": "assert User.create(username='made').id",
    "User.query()": "assert User.query().filter_by(username='ann').first().id == 1",
    "User.exists(...)": "assert User.exists(username='ann')",
    "get_filters_expr(User, **filters)": """
        expressions = get_filters_expr(User, username="ann", age__gte=18)
        assert User.io.query(*expressions).count() == 1
    """,
    "exact": "operator('exact', 'age', 30, 1)",
    "ne": "operator('ne', 'age', 30, 1)",
    "gt": "operator('gt', 'age', 20, 1)",
    "gte": "operator('gte', 'age', 20, 2)",
    "lt": "operator('lt', 'age', 30, 1)",
    "lte": "operator('lte', 'age', 30, 2)",
    "in": "operator('in', 'age', [30, 31], 1)",
    "notin": "operator('notin', 'age', [30, 31], 1)",
    "between": "operator('between', 'age', [20, 25], 1)",
    "like": "operator('like', 'username', 'a%', 1)",
    "ilike": "operator('ilike', 'username', 'A%', 1)",
    "startswith": "operator('startswith', 'username', 'a', 1)",
    "istartswith": "operator('istartswith', 'username', 'A', 1)",
    "endswith": "operator('endswith', 'username', 'b', 1)",
    "iendswith": "operator('iendswith', 'username', 'B', 1)",
    "contains": "operator('contains', 'username', 'n', 1)",
    "isnull": "operator('isnull', 'age', True, 0)",
    "year": "operator('year', 'created_time', 1999, 0)",
    "month": "operator('month', 'created_time', datetime.datetime.now(datetime.UTC).month, 2)",
    "day": "operator('day', 'created_time', 32, 0)",
    "model_to_schema(User, exclude=, partial=)": """
        schema = model_to_schema(User, exclude=["age"], partial=True)
        assert "age" not in schema.model_fields and schema().username is None
    """,
    "created_time": "assert User.io.first(id=1).created_time.tzinfo is not None",
    "updated_time": "assert User.io.first(id=1).updated_time.utcoffset() == datetime.timedelta(0)",
    "is_active": "assert User.io.first(id=1).is_active is True",
    "bali.utils.timezone": """
        from bali.utils import timezone
        assert timezone.is_aware(timezone.now())
    """,
}
