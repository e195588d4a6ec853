from schemas.user import UserSchema

__all__ = ["UserSchema"]
