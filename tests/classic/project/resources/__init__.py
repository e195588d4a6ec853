from resources.user import UserResource

__all__ = ["UserResource"]
