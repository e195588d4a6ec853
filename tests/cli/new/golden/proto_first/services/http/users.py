"""Routes about users that are no operation of the resource: HTTP alone has them."""

from bali import APIRouter

from models import User

router = APIRouter(prefix="/users", tags=["users"])


@router.get("/count")
async def count_users(is_active: bool = True) -> dict[str, int]:
    """Tell how many there are."""
    return {"count": await User.aio.count(is_active=is_active)}
