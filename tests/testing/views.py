"""The views of a site that accepts tokens."""

from django.http import JsonResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.resource_server.decorators import require_token
from delegation_app.resource_server.permissions import RequireActor, RequireScopes


class Metrics(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [RequireScopes("read:metrics") & ~RequireActor("service_z")]

    def get(self, request):
        return Response({"subject": request.user.subject, "client": request.user.client_id})


@require_token("read:metrics")
def plain(request):
    return JsonResponse({"subject": request.user.subject})


urlpatterns = [path("metrics/", Metrics.as_view()), path("plain/", plain)]
