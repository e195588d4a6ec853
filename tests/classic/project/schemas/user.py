"""What callers see of a user."""

from bali import model_to_schema
from models.user import User

UserSchema = model_to_schema(User, exclude=["created_time", "updated_time", "is_active"])
