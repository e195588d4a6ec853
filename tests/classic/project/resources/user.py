"""The operations on users."""

from bali import Resource, action
from models.user import User
from schemas.user import UserSchema


class UserResource(Resource):
    schema = UserSchema                      # made from the User model; list/get/create/update/delete come for free

    @action()
    def custome_users(self, schema_in):
        return User.get_customer_users()
